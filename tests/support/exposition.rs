//! A strict reader of Prometheus' text form (0.0.4): what `promtool check metrics` would complain about, and more, is an
//! error with its line.

use std::collections::{BTreeMap, BTreeSet};

/// Labels in order of their names.
pub type Labels = BTreeMap<String, String>;

#[derive(Debug, Clone, PartialEq)]
pub struct Family {
    pub kind: String,
    pub help: String,
    /// (Name with its suffix, labels) to value.
    pub samples: BTreeMap<(String, Labels), f64>,
}

/// A whole page by the families' names.
#[derive(Debug, Clone, PartialEq)]
pub struct Page(pub BTreeMap<String, Family>);

impl Page {
    pub fn read(text: &str) -> Result<Page, String> {
        if !text.ends_with('\n') {
            return Err("the last line has no end".to_owned());
        }
        let mut page = Page(BTreeMap::new());
        let mut current: Option<String> = None;
        for (number, line) in text.lines().enumerate() {
            page.line(line, &mut current).map_err(|problem| format!("line {}: {problem}: {line}", number + 1))?;
        }
        for (name, family) in &page.0 {
            family.check(name).map_err(|problem| format!("{name}: {problem}"))?;
        }
        Ok(page)
    }

    fn line(&mut self, line: &str, current: &mut Option<String>) -> Result<(), String> {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            let (name, help) = rest.split_once(' ').ok_or("no help")?;
            is_name(name)?;
            if self.0.contains_key(name) {
                return Err("a family twice".to_owned());
            }
            if !help.ends_with('.') || help.len() < 10 {
                return Err("the help is no sentence".to_owned());
            }
            let family = Family { kind: String::new(), help: help.to_owned(), samples: BTreeMap::new() };
            self.0.insert(name.to_owned(), family);
            *current = Some(name.to_owned());
            return Ok(());
        }
        let name = current.clone().ok_or("a line before the first HELP")?;
        let family = self.0.get_mut(&name).ok_or("unknown")?;
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            let (typed, kind) = rest.split_once(' ').ok_or("no type")?;
            if typed != name || !family.kind.is_empty() || !family.samples.is_empty() {
                return Err("TYPE does not follow its HELP".to_owned());
            }
            if !["counter", "gauge", "histogram"].contains(&kind) {
                return Err("another type".to_owned());
            }
            family.kind = kind.to_owned();
            return Ok(());
        }
        let (sample, labels, value) = sample(line)?;
        let suffix = sample.strip_prefix(name.as_str()).ok_or("a sample of another family")?;
        let suffixes: &[&str] = if family.kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        if !suffixes.contains(&suffix) {
            return Err(format!("a {} has no `{suffix}`", family.kind));
        }
        if family.samples.insert((sample, labels), value).is_some() {
            return Err("a sample twice".to_owned());
        }
        Ok(())
    }

    /// The sum of a family's samples (of this exact name) whose labels include these.
    pub fn sum(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let all = self.0.values().flat_map(|family| &family.samples).filter(|((sample, found), _)| {
            sample == name && labels.iter().all(|(key, value)| found.get(*key).is_some_and(|found| found == value))
        });
        all.map(|(_, value)| value).sum()
    }

    /// Everything that only grows, which must not have fallen since an earlier page.
    pub fn check_grown(&self, earlier: &Page) {
        for (name, family) in &earlier.0 {
            let now = &self.0[name];
            if family.kind == "gauge" {
                continue;
            }
            for ((sample, labels), before) in &family.samples {
                let after = now.samples.get(&(sample.clone(), labels.clone()));
                assert!(after.is_some_and(|after| after >= before), "{sample} {labels:?}: {before}, then {after:?}");
            }
        }
    }
}

impl Family {
    fn check(&self, name: &str) -> Result<(), String> {
        if self.kind.is_empty() || self.samples.is_empty() {
            return Err("no type or no samples".to_owned());
        }
        if (self.kind == "counter") != name.ends_with("_total") {
            return Err("counters, and only they, end in _total".to_owned());
        }
        if self.kind != "gauge" && self.samples.values().any(|value| value.is_nan() || *value < 0.0) {
            return Err("below zero".to_owned());
        }
        let keys: BTreeSet<Vec<&String>> =
            self.samples.keys().map(|(_, labels)| labels.keys().filter(|key| *key != "le").collect()).collect();
        if keys.len() > 1 {
            return Err(format!("different labels: {keys:?}"));
        }
        if self.kind == "histogram" { self.check_histogram(name) } else { Ok(()) }
    }

    fn check_histogram(&self, name: &str) -> Result<(), String> {
        let mut series: BTreeMap<Labels, Vec<(f64, f64)>> = BTreeMap::new();
        for ((sample, labels), value) in &self.samples {
            if sample.ends_with("_bucket") {
                let mut labels = labels.clone();
                let end = labels.remove("le").ok_or("a bucket without end")?;
                let end = end.replace("+Inf", "inf").parse().map_err(|_| format!("`{end}` is no end"))?;
                series.entry(labels).or_default().push((end, *value));
            }
        }
        for (labels, mut buckets) in series {
            buckets.sort_by(|one, other| one.0.total_cmp(&other.0));
            if buckets.windows(2).any(|pair| pair[0].1 > pair[1].1) {
                return Err(format!("{labels:?}: buckets fall: {buckets:?}"));
            }
            let last = buckets.last().ok_or("no buckets")?;
            let count = self.samples.get(&(format!("{name}_count"), labels.clone()));
            if last.0 != f64::INFINITY || count != Some(&last.1) {
                return Err(format!("{labels:?}: the last bucket {last:?} is not the count {count:?}"));
            }
            if !self.samples.contains_key(&(format!("{name}_sum"), labels.clone())) {
                return Err(format!("{labels:?}: no sum"));
            }
        }
        Ok(())
    }
}

fn is_name(name: &str) -> Result<(), String> {
    let good = |octet: u8| octet.is_ascii_lowercase() || octet.is_ascii_digit() || octet == b'_';
    let begins = name.bytes().next().is_some_and(|octet| octet.is_ascii_lowercase());
    if begins && name.bytes().all(good) { Ok(()) } else { Err(format!("`{name}` is no name")) }
}

/// `name{label="value",…} number`.
fn sample(line: &str) -> Result<(String, Labels, f64), String> {
    let end = line.find(['{', ' ']).ok_or("no value")?;
    let (name, mut rest) = line.split_at(end);
    is_name(name)?;
    let mut labels = Labels::new();
    if let Some(mut inside) = rest.strip_prefix('{') {
        loop {
            let (key, behind) = inside.split_once("=\"").ok_or("no label")?;
            is_name(key)?;
            let (value, behind) = label_value(behind)?;
            if value.is_empty() || labels.insert(key.to_owned(), value).is_some() {
                return Err("an empty label, or one twice".to_owned());
            }
            match behind.strip_prefix(',') {
                Some(more) => inside = more,
                None => {
                    rest = behind.strip_prefix('}').ok_or("the labels do not end")?;
                    break;
                }
            }
        }
    }
    let number = rest.strip_prefix(' ').ok_or("no space before the value")?;
    let value = number.replace("+Inf", "inf").parse().map_err(|_| format!("`{number}` is no number"))?;
    Ok((name.to_owned(), labels, value))
}

/// A value to its closing quote, with `\\`, `\"` and `\n` resolved.
fn label_value(text: &str) -> Result<(String, &str), String> {
    let mut value = String::new();
    let mut letters = text.char_indices();
    while let Some((at, letter)) = letters.next() {
        match letter {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match letters.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, letter @ ('\\' | '"'))) => value.push(letter),
                other => return Err(format!("an escape that is none: {other:?}")),
            },
            letter => value.push(letter),
        }
    }
    Err("a value without end".to_owned())
}
