//! Cuts texts. The serde forms of names, ids, states and times, for those who show or store them: text is
//! written as a person reads it, times are milliseconds since 1970, and durations milliseconds.

use std::time::Duration;

use serde::Serializer;

/// Implements `Serialize` for types with `Display`.
macro_rules! serialize_as_text {
    ($($type:ty)*) => {$(
        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
    )*};
}

/// Implements `Deserialize` by `FromStr`, so that an illegal text is refused.
macro_rules! deserialize_from_text {
    ($($type:ty)*) => {$(
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
                let text = <String as serde::Deserialize>::deserialize(reader)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

pub(crate) use {deserialize_from_text, serialize_as_text};

/// Returns the beginning of a text: at most so many bytes, cut at a character boundary.
pub(crate) fn beginning(text: &str, most: usize) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    &text[..(0..=most.min(text.len())).rev().find(fits).unwrap_or(0)]
}

/// Writes a duration in milliseconds.
pub(crate) fn as_millis<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}
