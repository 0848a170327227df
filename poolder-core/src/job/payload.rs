//! Reading and writing of payloads, for implementations of [`Job`](crate::Job) by hand.
//!
//! A type that reads the payloads of its earlier version looks at the version of the stored job:
//!
//! ```
//! use poolder_core::{Error, Job, RawJob, payload};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize)]
//! struct Build { tenant: String, months: Vec<u8> }
//!
//! impl Job for Build {
//!     const KINDS: &'static [&'static str] = &["report.build"];
//!     const VERSION: u16 = 2;
//!
//!     fn decode(raw: RawJob<'_>) -> Result<Self, Error> {
//!         #[derive(Deserialize)]
//!         struct First { tenant: String }
//!
//!         if raw.version == 1 {
//!             let First { tenant } = payload::decode(raw)?;
//!             return Ok(Build { tenant, months: (1..=12).collect() });
//!         }
//!         payload::decode(raw)
//!     }
//! }
//! ```

use std::marker::PhantomData;

use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed};

use crate::job::{Error, Format, RawJob};

mod form;
mod read;
mod somes;
mod unread;
mod write;
mod writer;

pub use form::MAX_DEPTH;
use form::{Refusal, refused};
use read::Reader;
pub(crate) use writer::Writer;
use writer::write;

/// The size of the largest payload in bytes: 1 MiB.
pub const MAX_PAYLOAD: usize = 1 << 20;

/// The most bytes of an entry, a body or a record that Poolder has written: the payload, and room
/// for options, counters and failures. Larger ones are not read.
pub(crate) const MAX_STORED: usize = MAX_PAYLOAD + (256 << 10);

/// Appends the value as MessagePack with field names, and makes sure that the type can read it. The
/// value is read back only when it contains a 128-bit integer or flattened fields, which some types
/// cannot read.
///
/// # Errors
/// [`Error::is_codec`], with the path of the field, when the value cannot be serialized, is nested
/// more than [`MAX_DEPTH`] deep, or cannot be read back.
pub fn encode<T: Serialize + DeserializeOwned>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
    let written = |writer: &mut Writer<'_>| value.serialize(writer);
    encode_readable(out, written, |payload| decode::<T>(as_read_back(payload)).map(drop))
}

/// Appends a value as [`encode`] does, without reading it back: its reader is not known.
///
/// # Errors
/// [`Error::is_codec`], with the path of the field, when the value cannot be serialized or is nested
/// more than [`MAX_DEPTH`] deep.
pub(crate) fn encode_unread<T>(value: &T, out: &mut Vec<u8>) -> Result<(), Error>
where
    T: Serialize + ?Sized,
{
    encode_readable(out, |writer| value.serialize(writer), |_| Ok(()))
}

/// Appends the payload that `value` writes. One that some types cannot read is read back.
pub(crate) fn encode_readable(
    out: &mut Vec<u8>,
    value: impl Fn(&mut Writer<'_>) -> Result<(), Refusal>,
    read: impl FnOnce(&[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    let start = out.len();
    let doubtful = write(out, usize::MAX, |writer| value(writer));
    if !doubtful.map_err(|error| refused(&error))? {
        return Ok(());
    }
    let Err(error) = read(&out[start..]) else { return Ok(()) };
    out.truncate(start);
    // Each 128-bit integer is refused once, for its path.
    let wide = (0..3).filter_map(|n| write(&mut vec![], n, |writer| value(writer)).err());
    let wide: Vec<_> = wide.map(|error| format!("`{}`", error.path())).collect();
    if wide.is_empty() {
        return Err(refused(&format_args!("it could not be read back: {error}")));
    }
    Err(refused(&format_args!(
        "field {}: serde cannot read a 128-bit integer inside of a tagged, untagged or flattened \
         type: store it as text ({error})",
        wide.join(", ")
    )))
}

/// Appends a value in the second encoding, also when it contains nothing that needs it: its text
/// may be the form for people of some type.
///
/// # Errors
/// [`Error::is_codec`] when the value is nested more than [`MAX_DEPTH`] deep.
pub(crate) fn encode_for_people<T>(value: &T, out: &mut Vec<u8>) -> Result<(), Error>
where
    T: Serialize + ?Sized,
{
    let written = |writer: &mut Writer<'_>| {
        writer.second.set(true);
        value.serialize(writer)
    };
    encode_readable(out, written, |_| Ok(()))
}

/// Returns a payload that was just written as one that is read.
pub(crate) fn as_read_back(payload: &[u8]) -> RawJob<'_> {
    RawJob { kind: "", version: 1, format: Format::MessagePack, payload }
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
            let mut reader = Reader::new(raw.payload).map_err(|error| refuse(&error))?;
            let value = seed.deserialize(&mut reader).map_err(|error| refuse(&error))?;
            reader.end().map_err(|error| refuse(&error))?;
            Ok(value)
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
