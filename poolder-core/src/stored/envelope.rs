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
//! Options of later versions are kept, byte for byte, by every change of an envelope.

mod change;
mod expiry;
mod group;
mod options;

use std::ops::Range;

use crate::job::{Error, Format, JobId, MAX_PAYLOAD, Policy, RawJob, check_kind};

pub(crate) use options::Options;
use options::{HAS_OPTIONS, MAX_OPTIONS};

const LAYOUT: u8 = 1;
const IS_JSON: u8 = 2;
const FIXED: usize = 19;

/// The stored form of a job.
#[derive(Debug, Clone, PartialEq)]
pub struct Envelope {
    raw: Vec<u8>,
    id: JobId,
    kind: Range<usize>,
    payload: usize,
    options: Option<Box<Options>>,
}

impl Envelope {
    /// Builds the stored form of a job; `write` appends the payload. Without a policy the job has
    /// that of the pool which runs it.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal kind or policy and for options above 4,096 bytes,
    /// [`Error::is_too_large`] for a payload above [`MAX_PAYLOAD`], and any error of `write`.
    pub fn build(
        id: JobId,
        kind: &str,
        version: u16,
        policy: Option<&Policy>,
        format: Format,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        check_kind(kind)?;
        policy.map_or(Ok(()), Policy::check)?;
        // Most jobs have no options, and making them costs more than all that follows.
        let options =
            (version != 1 || policy.is_some()).then(|| Box::new(Options::of(version, policy)));
        let mut raw = Vec::with_capacity(256);
        raw.extend([LAYOUT, 0]);
        raw.extend(id.as_bytes());
        raw.push(u8::try_from(kind.len()).map_err(|_| Error::invalid("kind is too long"))?);
        raw.extend(kind.as_bytes());
        if format == Format::Json {
            raw[1] |= IS_JSON;
        }
        if let Some(options) = &options {
            options.append(kind, &mut raw)?;
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
        Ok(Self { raw, id, kind: FIXED..FIXED + kind.len(), payload, options })
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
            let read =
                Options::read(stored).map_err(|error| corrupt(&format!("its options: {error}")))?;
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

    /// Returns the first option that a node must understand to run the job, and that this version
    /// does not know: its name begins with an upper-case letter. Such a job waits for another node,
    /// and no attempt is counted, as for a job of an unknown kind. `None` for a job that needs no
    /// such option.
    #[must_use]
    pub fn unknown_requirement(&self) -> Option<&str> {
        self.options.as_ref()?.requirement()
    }

    /// Returns the policy that is stored with the job; `None` for a job without one, and when the
    /// stored one is not allowed.
    #[must_use]
    pub fn own_policy(&self) -> Option<Policy> {
        self.options.as_ref()?.policy()
    }

    /// Returns the policy that is stored with the job, or else the default policy.
    #[must_use]
    pub fn policy(&self) -> Policy {
        self.own_policy().unwrap_or_default()
    }

    /// Returns the size of the payload in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.raw.len() - self.payload
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::Backoff;

    fn build(kind: &str, version: u16, policy: &Policy, payload: &[u8]) -> Envelope {
        let write = |out: &mut Vec<u8>| {
            out.extend(payload);
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        let policy = (*policy != Policy::default()).then_some(policy);
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

        let policy = Policy::default().attempts(5).timeout(None);
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
    fn a_job_that_asks_for_the_default_policy_says_so() {
        let build = |policy| {
            let id = JobId::from_bytes([7; 16]);
            Envelope::build(id, "k", 1, policy, Format::Json, |_| Ok(())).unwrap()
        };
        let (asked, silent) = (build(Some(&Policy::default())), build(None));
        let read = Envelope::parse(asked.as_bytes().to_vec()).unwrap();
        assert_eq!(read.own_policy(), Some(Policy::default()));
        assert_eq!((silent.own_policy(), silent.policy()), (None, Policy::default()));
        let changed = silent.with_policy(&Policy::default()).unwrap();
        assert_eq!(changed.own_policy(), Some(Policy::default()));
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
        let error =
            Envelope::build(id, "big", 1, None, Format::Json, write).expect_err("above the cap");
        assert!(error.is_too_large() && error.job_id() == Some(id));
        assert!(error.to_string().contains("enqueue a reference"), "{error}");
    }
}
