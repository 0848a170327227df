//! What a job is to the code that enqueues and runs it: a typed value with a kind and a policy.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::error::Error;
use crate::queue::{QueueName, check_name};
use crate::retry::Policy;
use crate::time::Timestamp;

/// A typed job: a value that can be stored, and what Poolder must know about its kind.
///
/// Derive it with `#[derive(Job)]`, or write it by hand in a line:
///
/// ```
/// use poolder_core::Job;
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Serialize, Deserialize)]
/// struct Welcome { user: u64 }
///
/// impl Job for Welcome {
///     const KINDS: &'static [&'static str] = &["email.welcome"];
///     const QUEUE: &'static str = "mail";
/// }
/// assert_eq!(Welcome { user: 7 }.kind(), "email.welcome");
/// ```
pub trait Job: Serialize + DeserializeOwned + Send + 'static {
    /// The kinds this type stands for: one for a struct, one per variant for an enum. A kind is
    /// 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
    const KINDS: &'static [&'static str];

    /// The queue it goes to unless the caller names another. Default `default`.
    const QUEUE: &'static str = "default";

    /// The version of the payload's shape. A worker that knows only older versions leaves a newer
    /// job to others. Default 1.
    const VERSION: u16 = 1;

    /// The kind of this value. Default: the first of [`Job::KINDS`].
    fn kind(&self) -> &'static str {
        Self::KINDS[0]
    }

    /// Attempts, backoff and timeout for this value. Default: [`Policy::default`].
    fn policy(&self) -> Policy {
        Policy::default()
    }

    /// Appends the payload. Default: MessagePack with field names, so that fields may be added.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the value cannot be serialized.
    fn encode(&self, out: &mut Vec<u8>) -> Result<(), Error> {
        payload::encode(self, out)
    }

    /// Reads a payload back. Override it to accept older versions: look at [`RawJob::version`].
    ///
    /// # Errors
    /// [`Error::is_codec`] when the payload is not of this type.
    fn decode(raw: RawJob<'_>) -> Result<Self, Error> {
        payload::decode(raw)
    }
}

/// A payload as it was stored, before its type is known.
#[derive(Debug, Clone, Copy)]
pub struct RawJob<'a> {
    /// The kind.
    pub kind: &'a str,
    /// The version its producer wrote.
    pub version: u16,
    /// How the payload is written.
    pub format: Format,
    /// The payload.
    pub payload: &'a [u8],
}

/// How a payload is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// MessagePack, as Poolder's own clients write it.
    MessagePack,
    /// JSON, as producers without a Poolder client write it.
    Json,
}

/// Reading and writing of payloads, for those who implement [`Job`] by hand.
pub mod payload {
    use std::marker::PhantomData;

    use serde::de::DeserializeSeed;

    use super::{DeserializeOwned, Error, Format, RawJob, Serialize};

    /// Payloads nested deeper than this are refused: unbounded recursion would end the process.
    pub const MAX_DEPTH: usize = 64;

    /// Appends the value as MessagePack with field names.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the value cannot be serialized.
    pub fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<(), Error> {
        rmp_serde::encode::write_named(out, value)
            .map_err(|error| Error::codec(format!("the job cannot be serialized: {error}")))
    }

    /// Reads a whole payload, and nothing but it.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the payload is of another type, too deep, or followed by more.
    pub fn decode<T: DeserializeOwned>(raw: RawJob<'_>) -> Result<T, Error> {
        decode_seed(raw, PhantomData::<T>)
    }

    /// [`decode`] for a value that is read in the seed's way.
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
}

/// The id of a job: 128 bits, written as a UUID.
///
/// Ids made by a client are ordered by time and reveal it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct JobId(Uuid);

/// Under which own ids and ids of plain entries are derived; part of the wire format.
const DERIVED: Uuid = Uuid::from_bytes(*b"poolder job ids\0");

impl JobId {
    /// A new id (UUIDv7).
    #[must_use]
    pub fn generate() -> Self {
        Self(Uuid::now_v7())
    }

    /// The id that stands for a name of the caller's own in that queue (UUIDv5).
    #[must_use]
    pub fn named(queue: &QueueName, name: &str) -> Self {
        Self(Uuid::new_v5(&DERIVED, format!("{queue}\n{name}").as_bytes()))
    }

    /// The id of a schedule's tick (UUIDv5), so that whoever publishes it means the same job.
    #[must_use]
    pub fn of_tick(queue: &QueueName, schedule: &str, at: Timestamp) -> Self {
        let tick = format!("tick\n{queue}\n{schedule}\n{}", at.millis());
        Self(Uuid::new_v5(&DERIVED, tick.as_bytes()))
    }

    /// The id of a plain entry, which brings none: derived from where it was first stored.
    pub(crate) fn of_plain_entry(stream: &str, entry: &str) -> Self {
        Self(Uuid::new_v5(&DERIVED, format!("{stream}\n{entry}").as_bytes()))
    }

    /// The id in these bytes.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// When it was made by [`JobId::generate`], by the clock of that host; `None` for an id that
    /// stands for a name, under which there may be another job later.
    #[must_use]
    pub fn generated_at(&self) -> Option<Timestamp> {
        let (seconds, nanos) = self.0.get_timestamp()?.to_unix();
        let millis = i64::try_from(seconds).ok()?.checked_mul(1000)?;
        Some(Timestamp::from_millis(millis.saturating_add(i64::from(nanos / 1_000_000))))
    }

    /// Its 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.hyphenated().fmt(f)
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|error| Error::invalid(format!("{text:?} is not a job id: {error}")))
    }
}

/// Checks a kind: 1 to 128 ASCII letters, digits, `_`, `-`, `.`, `:` or `/`.
///
/// # Errors
/// [`Error::is_invalid`] when it is not.
pub fn check_kind(kind: &str) -> Result<(), Error> {
    check_name("kind", kind, 128, "_-.:/")
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
        payload::encode(&Old { user: 7 }, &mut bytes).unwrap();
        let new: New = payload::decode(raw(Format::MessagePack, &bytes)).unwrap();
        assert_eq!(new, New { user: 7, urgent: false });
        let json: New = payload::decode(raw(Format::Json, br#"{"user":7}"#)).unwrap();
        assert_eq!(json, new);
    }

    #[test]
    fn a_payload_nested_without_end_is_an_error_not_an_abort() {
        let mut deep = vec![0x91; 10_000];
        deep.push(0xc0);
        // `unknown` is not a field of Old: the depth counts even where the value is skipped.
        let mut map = vec![0x82, 0xa4, b'u', b's', b'e', b'r', 7];
        map.extend([0xa7, b'u', b'n', b'k', b'n', b'o', b'w', b'n']);
        map.extend(&deep);
        for bytes in [deep, map] {
            let error = payload::decode::<Old>(raw(Format::MessagePack, &bytes)).unwrap_err();
            assert!(error.is_codec(), "{error}");
        }
        let json = "[".repeat(10_000);
        assert!(payload::decode::<Old>(raw(Format::Json, json.as_bytes())).is_err());
    }

    #[test]
    fn bytes_after_the_end_are_an_error() {
        let mut bytes = vec![];
        payload::encode(&Old { user: 7 }, &mut bytes).unwrap();
        bytes.push(0);
        assert!(payload::decode::<Old>(raw(Format::MessagePack, &bytes)).is_err());
    }

    #[test]
    fn named_ids_are_stable_and_differ_by_queue() {
        let (mail, media) = (QueueName::new("mail").unwrap(), QueueName::new("media").unwrap());
        let id = JobId::named(&mail, "order-7");
        assert_eq!(id, JobId::named(&mail, "order-7"));
        assert_ne!(id, JobId::named(&media, "order-7"));
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    }
}
