//! Reading and writing of payloads, for implementations of [`Job`](crate::Job) by hand.

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::job::{Error, Format, RawJob};

/// The size of the largest payload in bytes: 1 MiB.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// The most bytes of an entry, a body or a record that Poolder has written: the payload, and room
/// for options, counters and failures. Larger ones are not read.
pub(crate) const MAX_STORED: usize = MAX_PAYLOAD + (256 << 10);

/// The deepest nesting of a MessagePack payload. Deeper ones are refused, because unbounded
/// recursion would overflow the stack and abort the process. JSON payloads are limited by
/// `serde_json`, to 128 levels.
pub const MAX_DEPTH: usize = 64;

/// Appends the value as MessagePack with field names.
///
/// # Errors
/// [`Error::is_codec`] when the value cannot be serialized.
pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    rmp_serde::encode::write_named(out, value)
        .map_err(|error| Error::codec(format!("the job cannot be serialized: {error}")))
}

/// Reads a payload to its end.
///
/// # Errors
/// [`Error::is_codec`] when the payload is of another type, nested too deeply, or followed by
/// further bytes.
pub fn decode<T: DeserializeOwned>(raw: RawJob<'_>) -> Result<T, Error> {
    decode_seed(raw, PhantomData::<T>)
}

/// Reads a payload to its end, as [`decode`] does, with a seed instead of a type.
pub(crate) fn decode_seed<'a, S: DeserializeSeed<'a>>(
    raw: RawJob<'a>,
    seed: S,
) -> Result<S::Value, Error> {
    let refuse = |error: &dyn std::fmt::Display| {
        Error::codec(format!("the payload of kind {:?} cannot be read: {error}", raw.kind))
    };
    match raw.format {
        Format::Json => {
            let mut reader = serde_json::Deserializer::from_slice(raw.payload);
            let value = seed.deserialize(&mut reader).map_err(|error| refuse(&error))?;
            reader.end().map_err(|error| refuse(&error))?;
            Ok(value)
        }
        Format::MessagePack => {
            let mut rest = raw.payload;
            let mut reader = rmp_serde::Deserializer::new(&mut rest);
            reader.set_max_depth(MAX_DEPTH);
            let value = seed.deserialize(&mut reader).map_err(|error| refuse(&error))?;
            if rest.is_empty() { Ok(value) } else { Err(refuse(&"bytes follow its end")) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct Old {
        user: u64,
    }
    #[derive(Serialize, Deserialize, Debug, PartialEq)]
    struct New {
        user: u64,
        #[serde(default)]
        urgent: bool,
    }

    fn raw(format: Format, payload: &[u8]) -> RawJob<'_> {
        RawJob { kind: "k", version: 1, format, payload }
    }

    #[test]
    fn a_field_may_be_added() {
        let mut bytes = vec![];
        encode(&Old { user: 7 }, &mut bytes).unwrap();
        let new: New = decode(raw(Format::MessagePack, &bytes)).unwrap();
        assert_eq!(new, New { user: 7, urgent: false });
        let json: New = decode(raw(Format::Json, br#"{"user":7}"#)).unwrap();
        assert_eq!(json, new);
    }

    #[test]
    fn a_payload_nested_without_end_is_an_error_not_an_abort() {
        let mut deep = vec![0x91; 10_000];
        deep.push(0xc0);
        // `unknown` is not a field of Old: the depth is limited even where the value is skipped.
        let mut map = vec![0x82, 0xa4, b'u', b's', b'e', b'r', 7];
        map.extend([0xa7, b'u', b'n', b'k', b'n', b'o', b'w', b'n']);
        map.extend(&deep);
        for bytes in [deep, map] {
            let error = decode::<Old>(raw(Format::MessagePack, &bytes)).unwrap_err();
            assert!(error.is_codec(), "{error}");
        }
        let json = "[".repeat(10_000);
        assert!(decode::<Old>(raw(Format::Json, json.as_bytes())).is_err());
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        let mut bytes = vec![];
        encode(&Old { user: 7 }, &mut bytes).unwrap();
        bytes.push(0);
        assert!(decode::<Old>(raw(Format::MessagePack, &bytes)).is_err());
    }
}
