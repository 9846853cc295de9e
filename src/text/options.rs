//! Options of a room, each declared once: what it means, how it is read, its default and its range.

mod written;

pub use written::{
    CommaSeparated, Written, address_or_range, cores, list, none_or_path, none_or_string, one_or_more, parse_listen,
    some, text, threads,
};

use crate::text::duration::format_duration;
use std::{ops::RangeInclusive, time::Duration};

/// What a section of the settings file sets; made by [`options!`].
pub trait Section {
    /// The keys of the section, as the file spells them.
    fn keys(&self) -> Vec<String>;
    /// Each value that is out of its range, with its key.
    fn out_of_range(&self) -> Vec<(String, OutOfRange)>;
}

/// A value that is out of its range, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutOfRange {
    /// The value.
    pub value: String,
    /// What to write instead.
    pub help: String,
}

/// A value that may have a range.
pub trait Bounded {
    /// What the ends of the range are.
    type Bound;
    /// Nothing if the value is within the range.
    fn outside(&self, range: RangeInclusive<Self::Bound>) -> Option<OutOfRange>;
}

macro_rules! bounded_numbers {
    ($($number:ty),*) => {$(
        impl Bounded for $number {
            type Bound = $number;
            fn outside(&self, range: RangeInclusive<$number>) -> Option<OutOfRange> {
                (!range.contains(self)).then(|| OutOfRange {
                    value: self.to_string(),
                    help: format!("write a number from {} to {}", range.start(), range.end()),
                })
            }
        }
    )*};
}

bounded_numbers!(u16, u32, u64, usize);

impl Bounded for Duration {
    type Bound = Duration;
    fn outside(&self, range: RangeInclusive<Duration>) -> Option<OutOfRange> {
        let (least, most) = (format_duration(*range.start()), format_duration(*range.end()));
        (!range.contains(self)).then(|| OutOfRange {
            value: format_duration(*self),
            help: format!("write a duration from {least} to {most}"),
        })
    }
}

/// An option that is not set is within every range.
impl<T: Bounded> Bounded for Option<T> {
    type Bound = T::Bound;
    fn outside(&self, range: RangeInclusive<T::Bound>) -> Option<OutOfRange> {
        self.as_ref()?.outside(range)
    }
}

/// The key of a field, as serde's `rename_all = "camelCase"` has it.
pub fn key(field: &str) -> String {
    let mut words = field.split('_');
    let mut key = words.next().unwrap_or_default().to_owned();
    for word in words {
        let mut letters = word.chars();
        key.extend(letters.next().map(|letter| letter.to_ascii_uppercase()));
        key.push_str(letters.as_str());
    }
    key
}

/// Declares a struct of options. Each field has its default, and a range where it has one:
/// `pub udp_payload: u16 = 1232, 512..=4096;`. Its key in the settings file is the field's name in camel case; fields after
/// `and` have none. From that come reading, default, [`Section`], and `differing`, the keys whose values differ.
macro_rules! options {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $($(#[$attribute:meta])* pub $field:ident: $type:ty = $default:expr $(, $range:expr)?;)*
        }
        $(and {
            $($(#[$own_attribute:meta])* pub $own:ident: $own_type:ty = $own_default:expr;)*
        })?
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, serde::Deserialize)]
        #[serde(rename_all = "camelCase", default)]
        pub struct $name {
            $($(#[$attribute])* pub $field: $type,)*
            $($($(#[$own_attribute])* #[serde(skip)] pub $own: $own_type,)*)?
        }

        impl Default for $name {
            fn default() -> $name {
                $name { $($field: $default,)* $($($own: $own_default,)*)? }
            }
        }

        impl $crate::text::options::Section for $name {
            fn keys(&self) -> Vec<String> {
                vec![$($crate::text::options::key(stringify!($field)),)*]
            }

            fn out_of_range(&self) -> Vec<(String, $crate::text::options::OutOfRange)> {
                let found: Vec<Option<(String, $crate::text::options::OutOfRange)>> = vec![$($(
                    $crate::text::options::Bounded::outside(&self.$field, $range)
                        .map(|outside| ($crate::text::options::key(stringify!($field)), outside)),
                )?)*];
                found.into_iter().flatten().collect()
            }
        }

        impl $name {
            /// The keys whose values differ from those of `other`.
            pub fn differing(&self, other: &$name) -> Vec<String> {
                let same = [$((stringify!($field), self.$field == other.$field),)*];
                same.iter().filter(|(_, same)| !same).map(|(field, _)| $crate::text::options::key(field)).collect()
            }
        }
    };
}
pub(crate) use options;

#[cfg(test)]
mod tests {
    use super::*;

    options! {
        /// Options of a room.
        pub struct Sample {
            /// A number.
            pub some_number: u16 = 7, 1..=10;
            /// A duration, which may be missing.
            pub long_time: Option<Duration> = None, Duration::ZERO..=Duration::from_secs(60);
            /// Anything.
            pub is_on: bool = true;
        }
        and {
            /// Not in the file.
            pub origin: u8 = 3;
        }
    }

    #[test]
    fn what_a_declaration_gives() {
        let all = Sample::default();
        assert_eq!(all.keys(), ["someNumber", "longTime", "isOn"]);
        assert_eq!(all.out_of_range(), []);
        let other = Sample { some_number: 11, long_time: Some(Duration::from_secs(61)), origin: 9, ..all.clone() };
        let shown = |(key, OutOfRange { value, help }): &(String, OutOfRange)| format!("{key} {value}: {help}");
        let expected = ["someNumber 11: write a number from 1 to 10", "longTime 1m1s: write a duration from 0 to 1m"];
        assert_eq!(other.out_of_range().iter().map(shown).collect::<Vec<_>>(), expected);
        assert_eq!(all.differing(&other), ["someNumber", "longTime"]);
        assert_eq!(all.differing(&all), [""; 0]);
        let read: Result<Sample, _> = serde_json::from_str(r#"{"isOn": false}"#);
        assert_eq!(read.ok(), Some(Sample { is_on: false, ..all }));
    }
}
