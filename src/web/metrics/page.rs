//! One page of metrics under way: families of rows, each written with its name, help and type once.

use crate::text::escape::visible;
use prometheus_client::{
    encoding::{DescriptorEncoder, EncodeMetric, MetricEncoder, NoLabelSet},
    metrics::{MetricType, histogram::Histogram},
};
use std::fmt;

/// Labels of one row.
pub(super) type MetricLabels = Vec<(&'static str, String)>;

/// Where families are written to.
pub(super) struct MetricsPage<'e>(pub(super) DescriptorEncoder<'e>);

/// One label.
pub(super) fn label(name: &'static str, value: impl Into<String>) -> MetricLabels {
    vec![(name, visible(&value.into()))]
}

impl MetricsPage<'_> {
    /// One family, each row written by `encode`; without rows it is left out.
    fn family(
        &mut self,
        metric_type: MetricType,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (MetricLabels, f64)>,
        encode: impl Fn(MetricEncoder<'_>, f64) -> fmt::Result,
    ) -> fmt::Result {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return Ok(());
        }
        let mut family = self.0.encode_descriptor(name, help, None, metric_type)?;
        for (labels, value) in rows {
            encode(family.encode_family(&labels)?, value)?;
        }
        Ok(())
    }

    /// Numbers that only grow; `_total` is added to the name. A family without rows is left out.
    pub(super) fn counter(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (MetricLabels, f64)>,
    ) -> fmt::Result {
        self.family(MetricType::Counter, name, help, rows, |mut row, value| {
            row.encode_counter::<NoLabelSet, f64, f64>(&value, None)
        })
    }

    /// Numbers that go up and down.
    pub(super) fn gauge(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (MetricLabels, f64)>,
    ) -> fmt::Result {
        self.family(MetricType::Gauge, name, help, rows, |mut row, value| row.encode_gauge(&value))
    }

    /// How often which values came: the sum, and (upper end, how many) for each class, the last end being infinite.
    pub(super) fn distribution(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (MetricLabels, f64, Vec<(f64, u64)>)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, sum, classes) in rows {
            let count = classes.iter().map(|(_, count)| count).sum();
            family.encode_family(&labels)?.encode_histogram::<NoLabelSet>(sum, count, &classes, None)?;
        }
        Ok(())
    }

    /// How often which values came, of histograms that the caller has filled.
    pub(super) fn histogram<'h>(
        &mut self,
        name: &str,
        help: &str,
        rows: impl IntoIterator<Item = (MetricLabels, &'h Histogram)>,
    ) -> fmt::Result {
        let mut family = self.0.encode_descriptor(name, help, None, MetricType::Histogram)?;
        for (labels, histogram) in rows {
            histogram.encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
