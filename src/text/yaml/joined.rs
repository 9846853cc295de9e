//! One mapping that is decoded as several structs, each of which takes the keys that it knows.

use serde::{
    Deserialize, Deserializer,
    de::{Error, SeqAccess, Visitor},
};
use std::{fmt, marker::PhantomData};

/// By this name the decoder knows that one mapping is to be read several times.
pub(super) const JOINED: &str = "headless_dns::text::yaml::Joined";

/// A tuple of structs that share one mapping: a key is unknown if none of them has it. Only for [`super::decode()`], since
/// serde's own `flatten` loses the places of the values and takes every key.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Joined<T>(pub T);

macro_rules! joined {
    ($count:literal: $($part:ident),*) => {
        impl<'de, $($part: Deserialize<'de>),*> Deserialize<'de> for Joined<($($part,)*)> {
            fn deserialize<De: Deserializer<'de>>(deserializer: De) -> Result<Self, De::Error> {
                struct Parts<T>(PhantomData<T>);
                impl<'de, $($part: Deserialize<'de>),*> Visitor<'de> for Parts<($($part,)*)> {
                    type Value = Joined<($($part,)*)>;
                    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                        f.write_str("a mapping")
                    }
                    fn visit_seq<Parts: SeqAccess<'de>>(self, mut parts: Parts) -> Result<Self::Value, Parts::Error> {
                        Ok(Joined(($(
                            parts.next_element::<$part>()?.ok_or_else(|| Parts::Error::custom("a part is missing"))?,
                        )*)))
                    }
                }
                deserializer.deserialize_tuple_struct(JOINED, $count, Parts(PhantomData))
            }
        }
    };
}

joined!(2: A, B);
joined!(3: A, B, C);
