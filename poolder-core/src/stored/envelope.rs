//! The stored form of a job: a short positional header, then the payload. This layout is frozen.
//!
//! ```text
//! offset  bytes  content
//! 0       1      layout version, 1
//! 1       1      flags: 1 options follow the kind, 2 the payload is JSON
//! 2       16     job id
//! 18      1      length of the kind, k
//! 19      k      kind
//! [19+k   2 + n  length of the options (big endian), options: a MessagePack map]
//! ...            payload
//! ```
//! Only settings that differ from the defaults are written as options, so that most jobs have none.

mod change;

use std::ops::Range;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::job::{
    Backoff, Error, Format, JobId, MAX_PAYLOAD, Policy, RawJob, Tick, check_kind, clamped_millis,
};

const LAYOUT: u8 = 1;
const HAS_OPTIONS: u8 = 1;
const IS_JSON: u8 = 2;
const FIXED: usize = 19;
const MAX_OPTIONS: usize = 4096;

/// The stored form of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    raw: Vec<u8>,
    id: JobId,
    kind: Range<usize>,
    payload: usize,
    options: Option<Box<Options>>,
}

/// The settings of a job besides its kind and payload. `None` stands for the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Options {
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    version: Option<u16>,
    #[serde(rename = "a", default, skip_serializing_if = "Option::is_none")]
    attempts: Option<u32>,
    #[serde(rename = "b", default, skip_serializing_if = "Option::is_none")]
    backoff: Option<StoredBackoff>,
    /// The timeout in milliseconds; 0 for no timeout.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    timeout: Option<u64>,
    /// The time for retries after the first failure, in milliseconds.
    #[serde(rename = "w", default, skip_serializing_if = "Option::is_none")]
    retry_for: Option<u64>,
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    crashes: Option<u32>,
    /// The retention of the completion record in milliseconds; `None` writes none.
    #[serde(rename = "e", default, skip_serializing_if = "Option::is_none")]
    completion_kept: Option<u64>,
    #[serde(rename = "s", default, skip_serializing_if = "Option::is_none")]
    tick: Option<Tick>,
    /// `Some(true)` when a caller waits for the reply.
    #[serde(rename = "r", default, skip_serializing_if = "Option::is_none")]
    call: Option<bool>,
    /// The hash of the key by which the slot of the job was picked; `None` when the key is the
    /// payload.
    #[serde(rename = "k", default, skip_serializing_if = "Option::is_none")]
    key: Option<u64>,
}

/// A backoff in milliseconds. The default backoff is never stored.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum StoredBackoff {
    #[serde(rename = "e")]
    Exponential(u64, u64),
    #[serde(rename = "l")]
    Linear(u64, u64),
    #[serde(rename = "f")]
    Fixed(u64),
    #[serde(rename = "s")]
    List(Vec<u64>),
    #[serde(rename = "p")]
    Polynomial,
}

impl Envelope {
    /// Builds the stored form of a job; `write` appends the payload.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal kind or policy, [`Error::is_too_large`] for a payload
    /// above [`MAX_PAYLOAD`], and any error of `write`.
    pub fn build(
        id: JobId,
        kind: &str,
        version: u16,
        policy: &Policy,
        format: Format,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        check_kind(kind)?;
        policy.check()?;
        let options = Options::of(version, policy);
        let mut raw = Vec::with_capacity(128);
        raw.extend([LAYOUT, 0]);
        raw.extend(id.as_bytes());
        raw.push(u8::try_from(kind.len()).map_err(|_| Error::invalid("kind is too long"))?);
        raw.extend(kind.as_bytes());
        if format == Format::Json {
            raw[1] |= IS_JSON;
        }
        let stored = options != Options::default();
        if stored {
            raw[1] |= HAS_OPTIONS;
            let bytes = rmp_serde::to_vec_named(&options)
                .map_err(|error| Error::codec(format!("the options cannot be stored: {error}")))?;
            let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
            raw.extend(length.to_be_bytes());
            raw.extend(bytes);
        }
        let payload = raw.len();
        write(&mut raw)?;
        let size = raw.len() - payload;
        if size > MAX_PAYLOAD {
            return Err(Error::too_large(format!(
                "the payload of kind {kind:?} has {size} bytes, the most is {MAX_PAYLOAD}: \
                 store the data elsewhere and enqueue a reference to it"
            ))
            .with_job(id));
        }
        Ok(Self {
            raw,
            id,
            kind: FIXED..FIXED + kind.len(),
            payload,
            options: stored.then(|| Box::new(options)),
        })
    }

    /// Reads a stored form. Every field is checked, because the bytes are not trusted.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the bytes are not the stored form of a job.
    pub fn parse(mut raw: Vec<u8>) -> Result<Self, Error> {
        Self::take(&mut raw)
    }

    /// Reads a stored form and moves its bytes out of `raw`. On an error, `raw` keeps its bytes.
    pub(crate) fn take(raw: &mut Vec<u8>) -> Result<Self, Error> {
        let corrupt = |what: &str| Error::codec(format!("the stored job cannot be read: {what}"));
        let header: &[u8; FIXED] =
            raw.first_chunk().ok_or_else(|| corrupt("it is shorter than a header"))?;
        if header[0] != LAYOUT {
            return Err(corrupt(&format!("layout {} is not known to this version", header[0])));
        }
        let flags = header[1];
        if flags & !(HAS_OPTIONS | IS_JSON) != 0 {
            return Err(corrupt(&format!("flags {flags} are not known to this version")));
        }
        let mut id = [0; 16];
        id.copy_from_slice(&header[2..18]);
        let kind = FIXED..FIXED + usize::from(header[18]);
        let name = raw.get(kind.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok());
        check_kind(name.ok_or_else(|| corrupt("its kind is cut short or not text"))?)
            .map_err(|error| corrupt(&error.to_string()))?;
        let mut payload = kind.end;
        let mut options = None;
        if flags & HAS_OPTIONS != 0 {
            let length = raw
                .get(payload..)
                .and_then(|rest| rest.first_chunk())
                .map(|bytes| usize::from(u16::from_be_bytes(*bytes)))
                .filter(|length| *length <= MAX_OPTIONS)
                .ok_or_else(|| corrupt("the length of its options is wrong"))?;
            let stored = raw
                .get(payload + 2..payload + 2 + length)
                .ok_or_else(|| corrupt("its options are cut short"))?;
            payload += 2 + length;
            let mut reader = rmp_serde::Deserializer::new(stored);
            reader.set_max_depth(8);
            let read = Options::deserialize(&mut reader)
                .map_err(|error| corrupt(&format!("its options: {error}")))?;
            options = Some(Box::new(read));
        }
        Ok(Self { id: JobId::from_bytes(id), kind, payload, options, raw: std::mem::take(raw) })
    }

    /// Returns the stored bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.raw
    }

    /// Returns the id of the job.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.id
    }

    /// Returns the kind of the job.
    #[must_use]
    pub fn kind(&self) -> &str {
        // The range was checked to be UTF-8 when the envelope was created.
        std::str::from_utf8(&self.raw[self.kind.clone()]).unwrap_or_default()
    }

    /// Returns the payload with its kind, version and format, which are needed to read it.
    #[must_use]
    pub fn raw_job(&self) -> RawJob<'_> {
        RawJob {
            kind: self.kind(),
            version: self.version(),
            format: if self.raw[1] & IS_JSON != 0 { Format::Json } else { Format::MessagePack },
            payload: &self.raw[self.payload..],
        }
    }

    /// Returns the version of the payload's shape.
    #[must_use]
    pub fn version(&self) -> u16 {
        self.options.as_ref().and_then(|options| options.version).unwrap_or(1)
    }

    /// Returns the policy of the job; the default policy when the stored one is not allowed.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.options.as_ref().map_or_else(Policy::default, |options| options.policy())
    }

    /// Returns the size of the payload in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.raw.len() - self.payload
    }
}

impl Options {
    pub(crate) fn of(version: u16, policy: &Policy) -> Self {
        let usual = Policy::default();
        let millis = |duration: Duration| clamped_millis(duration).unsigned_abs();
        Self {
            version: (version != 1).then_some(version),
            attempts: (policy.attempts != usual.attempts).then_some(policy.attempts),
            backoff: (policy.backoff != usual.backoff).then(|| match &policy.backoff {
                Backoff::Polynomial => StoredBackoff::Polynomial,
                Backoff::Exponential { base, cap } => {
                    StoredBackoff::Exponential(millis(*base), millis(*cap))
                }
                Backoff::Linear { step, cap } => StoredBackoff::Linear(millis(*step), millis(*cap)),
                Backoff::Fixed(wait) => StoredBackoff::Fixed(millis(*wait)),
                Backoff::List(waits) => {
                    StoredBackoff::List(waits.iter().map(|wait| millis(*wait)).collect())
                }
            }),
            timeout: (policy.timeout != usual.timeout)
                .then(|| policy.timeout.map_or(0, |timeout| millis(timeout).max(1))),
            retry_for: policy.retry_for.map(millis),
            crashes: (policy.crashes != usual.crashes).then_some(policy.crashes),
            completion_kept: None,
            tick: None,
            call: None,
            key: None,
        }
    }

    pub(crate) fn policy(&self) -> Policy {
        let usual = Policy::default();
        let ms = Duration::from_millis;
        let read = Policy {
            attempts: self.attempts.unwrap_or(usual.attempts),
            backoff: match self.backoff.clone() {
                None | Some(StoredBackoff::Polynomial) => Backoff::Polynomial,
                Some(StoredBackoff::Exponential(base, cap)) => {
                    Backoff::Exponential { base: ms(base), cap: ms(cap) }
                }
                Some(StoredBackoff::Linear(step, cap)) => {
                    Backoff::Linear { step: ms(step), cap: ms(cap) }
                }
                Some(StoredBackoff::Fixed(wait)) => Backoff::Fixed(ms(wait)),
                Some(StoredBackoff::List(waits)) => {
                    Backoff::List(waits.into_iter().map(ms).collect())
                }
            },
            timeout: match self.timeout {
                None => usual.timeout,
                Some(0) => None,
                Some(timeout) => Some(ms(timeout)),
            },
            retry_for: self.retry_for.map(ms),
            crashes: self.crashes.unwrap_or(usual.crashes),
        };
        if read.check().is_ok() { read } else { usual }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn build(kind: &str, version: u16, policy: &Policy, payload: &[u8]) -> Envelope {
        let write = |out: &mut Vec<u8>| {
            out.extend(payload);
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        Envelope::build(id, kind, version, policy, Format::MessagePack, write).unwrap()
    }

    #[test]
    fn the_layout_is_frozen() {
        let envelope = build("email.welcome", 1, &Policy::default(), b"PAYLOAD");
        let mut expected = vec![1, 0];
        expected.extend([7; 16]);
        expected.push(13);
        expected.extend(b"email.welcomePAYLOAD");
        assert_eq!(envelope.as_bytes(), expected);
        assert_eq!(expected.len() - 7, 32, "at most 32 bytes over a payload of a common kind");

        let policy = Policy::default().attempts(5).no_timeout();
        let envelope = build("k", 2, &policy, b"");
        assert_eq!(envelope.as_bytes()[1], HAS_OPTIONS);
        assert_eq!(&envelope.as_bytes()[20..], b"\x00\x0a\x83\xa1v\x02\xa1a\x05\xa1t\x00");
    }

    #[test]
    fn what_is_built_is_read_back() {
        let s = Duration::from_secs;
        let backoffs = [
            Backoff::Polynomial,
            Backoff::Exponential { base: s(1), cap: s(60) },
            Backoff::Linear { step: s(1), cap: s(60) },
            Backoff::Fixed(s(3)),
            Backoff::List(vec![s(1), s(2)]),
        ];
        for backoff in backoffs {
            let policy = Policy::default().backoff(backoff).retry_for(s(9)).crashes(5);
            let built = build("a/b:c", 3, &policy, b"data");
            let read = Envelope::parse(built.as_bytes().to_vec()).unwrap();
            assert_eq!(read, built);
            assert_eq!(read.policy(), policy);
            assert_eq!((read.kind(), read.version(), read.payload_len()), ("a/b:c", 3, 4));
            assert_eq!(read.raw_job().payload, b"data");
        }
    }

    #[test]
    fn corrupt_envelopes_are_refused_without_a_panic() {
        let good = build("kind", 2, &Policy::default().attempts(1), b"x").as_bytes().to_vec();
        for cut in 0..good.len() - 1 {
            assert!(Envelope::parse(good[..cut].to_vec()).is_err(), "cut at {cut}");
        }
        for (at, byte) in [(0, 9), (1, 0x80), (18, 255), (19, b' '), (23, 0xff)] {
            let mut bad = good.clone();
            bad[at] = byte;
            assert!(Envelope::parse(bad).is_err_and(|error| error.is_codec()), "{at} {byte}");
        }
    }

    #[test]
    fn a_payload_above_the_cap_is_refused_with_advice() {
        let write = |out: &mut Vec<u8>| {
            out.resize(out.len() + MAX_PAYLOAD + 1, 0);
            Ok(())
        };
        let id = JobId::generate();
        let error = Envelope::build(id, "big", 1, &Policy::default(), Format::Json, write)
            .expect_err("above the cap");
        assert!(error.is_too_large() && error.job_id() == Some(id));
        assert!(error.to_string().contains("enqueue a reference"), "{error}");
    }
}
