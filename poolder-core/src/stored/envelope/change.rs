//! Changes of envelopes: for a caller that waits for the end or the reply, for a key, for an
//! operator's edit, and for the ticks of a schedule. Every change keeps the options that this version
//! does not know.

use std::time::Duration;

use crate::job::{
    Error, Format, Headers, JobId, MAX_PAYLOAD, Policy, Tick, TraceParent, Unique, UniqueKey,
    UniqueMode, clamped_duration, clamped_millis,
};
use crate::policy::dispatch::hash;
use crate::stored::envelope::{Envelope, FIXED, IS_JSON, Options};
use crate::stored::unique::{KeyHold, StoredUnique};

/// The position of the job id in the stored form.
const ID: std::ops::Range<usize> = 2..18;

impl Envelope {
    /// Turns the job into a call: a caller waits for the reply, and the worker's `handle_call` runs
    /// the job.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub fn calling(self) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.call = Some(true);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns true when a caller waits for the reply.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.options.as_ref().is_some_and(|options| options.call == Some(true))
    }

    /// Sets the hash of the key by which the slot of the job is picked.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub fn keyed(self, key: u64) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.key = Some(key);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns the hash of the key that was given when the job was cast.
    #[must_use]
    pub fn given_key(&self) -> Option<u64> {
        self.options.as_ref().and_then(|options| options.key)
    }

    /// Removes the hash of the key.
    ///
    /// # Errors
    /// None: the options only become shorter.
    pub fn unkeyed(self) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.key = None;
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns the hash of the job's key: the key that was given, or else the payload. Jobs of one
    /// key run one at a time and in order in a slot that keeps the order per key.
    #[must_use]
    pub fn key(&self) -> u64 {
        self.given_key().unwrap_or_else(|| hash(&self.raw[self.payload..]))
    }

    /// Requests a completion record, which is written however the job ends and kept for this time.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a time below 1 ms, and when the options of the job then take more
    /// than 4,096 bytes.
    pub fn keeping_completion(self, kept: Duration) -> Result<Self, Error> {
        let kept = clamped_millis(kept).unsigned_abs();
        if kept == 0 {
            return Err(Error::invalid("the completion of a job must be kept for at least 1 ms"));
        }
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.completion_kept = Some(kept);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Copies the job with another payload.
    ///
    /// # Errors
    /// [`Error::is_too_large`] for a payload above [`MAX_PAYLOAD`].
    pub fn with_payload(&self, format: Format, payload: &[u8]) -> Result<Self, Error> {
        if payload.len() > MAX_PAYLOAD {
            return Err(Error::too_large(format!(
                "the payload has {} bytes, the most is {MAX_PAYLOAD}",
                payload.len()
            ))
            .with_job(self.id));
        }
        let options = self.options.as_deref().cloned().unwrap_or_default();
        self.rebuilt(options, format == Format::Json, payload)
    }

    /// Copies the job with another policy.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a policy that is not allowed, and when the options of the job then
    /// take more than 4,096 bytes.
    pub fn with_policy(&self, policy: &Policy) -> Result<Self, Error> {
        policy.check()?;
        let options = self.options.as_deref().cloned().unwrap_or_default().with_policy(policy);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Copies the job under another id, for the tick of a schedule.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub(crate) fn for_tick(&self, id: JobId, tick: Tick) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.tick = Some(tick);
        Ok(self.rebuilt(options, self.is_json(), &self.raw[self.payload..])?.with_id(id))
    }

    /// Returns the job under another id.
    pub(crate) fn with_id(mut self, id: JobId) -> Self {
        self.raw[ID].copy_from_slice(id.as_bytes());
        Self { id, ..self }
    }

    /// Copies the job with these headers in place of its own.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for headers that are not allowed, and when the options of the job then
    /// take more than 4,096 bytes.
    pub fn with_headers(&self, headers: &Headers) -> Result<Self, Error> {
        headers.check().map_err(|error| error.with_job(self.id))?;
        let options = self.options.as_deref().cloned().unwrap_or_default().with_headers(headers);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns the headers of the job.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        static NONE: Headers = Headers::new();
        self.options.as_ref().map_or(&NONE, |options| options.headers())
    }

    /// Copies the job as part of this trace, in place of its own.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub fn with_trace_parent(&self, parent: TraceParent) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.trace_parent = Some(parent);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns the trace context with which the job was sent.
    #[must_use]
    pub fn trace_parent(&self) -> Option<TraceParent> {
        self.options.as_ref()?.trace_parent
    }

    /// Makes the job unique by this rule, in place of its own.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a rule that cannot hold, and when the options of the job then take
    /// more than 4,096 bytes.
    pub fn made_unique(&self, rule: &Unique) -> Result<Self, Error> {
        let key = rule.key(self.kind(), &self.raw[self.payload..]);
        let key = key.map_err(|error| error.with_job(self.id))?;
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        options.unique = Some(StoredUnique::of(rule, key));
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Returns the key of a unique job; `None` for other jobs.
    #[must_use]
    pub fn unique_key(&self) -> Option<UniqueKey> {
        self.unique().map(|unique| unique.key)
    }

    /// Returns when the key of a unique job is free again; `None` for other jobs.
    #[must_use]
    pub fn unique_mode(&self) -> Option<UniqueMode> {
        self.unique().map(|unique| unique.mode)
    }

    /// Returns the key that the job takes; `None` for a job that is not unique.
    pub(crate) fn unique(&self) -> Option<KeyHold> {
        self.options.as_ref()?.unique.as_ref()?.read()
    }

    /// Returns the tick of a schedule for which the job was enqueued; `None` for other jobs.
    #[must_use]
    pub fn tick(&self) -> Option<&Tick> {
        self.options.as_ref()?.tick.as_ref()
    }

    /// Returns the retention of the completion record; `None` when none is written.
    #[must_use]
    pub fn completion_kept(&self) -> Option<Duration> {
        self.options.as_ref().and_then(|options| options.completion_kept).map(clamped_duration)
    }

    pub(super) fn is_json(&self) -> bool {
        self.raw[1] & IS_JSON != 0
    }

    pub(super) fn rebuilt(
        &self,
        options: Options,
        json: bool,
        payload: &[u8],
    ) -> Result<Self, Error> {
        let mut raw = Vec::with_capacity(self.raw.len() + payload.len() + 16);
        raw.extend(&self.raw[..FIXED]);
        raw.extend(&self.raw[self.kind.clone()]);
        raw[1] = if json { IS_JSON } else { 0 };
        let stored = options.append(self.kind(), &mut raw).map_err(|it| it.with_job(self.id))?;
        let start = raw.len();
        raw.extend(payload);
        Ok(Self {
            raw,
            id: self.id,
            kind: self.kind.clone(),
            payload: start,
            options: stored.then(|| Box::new(options)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Timestamp;
    use crate::stored::envelope::options::tests::with_entries;

    fn job(policy: &Policy) -> Envelope {
        let write = |out: &mut Vec<u8>| {
            out.extend(b"\x81\xa1u\x07");
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        let policy = (*policy != Policy::default()).then_some(policy);
        Envelope::build(id, "kind", 1, policy, Format::MessagePack, write).unwrap()
    }

    #[test]
    fn the_retention_of_the_completion_travels_with_the_job() {
        for policy in [Policy::default(), Policy::default().attempts(3)] {
            let plain = job(&policy);
            assert_eq!(plain.completion_kept(), None);
            let asked = plain.clone().keeping_completion(Duration::from_secs(9)).unwrap();
            let read = Envelope::parse(asked.as_bytes().to_vec()).unwrap();
            assert_eq!(read, asked);
            assert_eq!(read.completion_kept(), Some(Duration::from_secs(9)));
            assert_eq!((read.policy(), read.id()), (policy, plain.id()));
            assert_eq!(read.raw_job().payload, plain.raw_job().payload);
        }
        assert!(job(&Policy::default()).keeping_completion(Duration::ZERO).is_err());
    }

    #[test]
    fn a_key_travels_with_the_job_and_is_the_payload_unless_it_was_given() {
        let plain = job(&Policy::default());
        assert_eq!(plain.key(), hash(b"\x81\xa1u\x07"));
        let keyed = plain.keyed(hash(b"key 7")).unwrap();
        let read = Envelope::parse(keyed.as_bytes().to_vec()).unwrap();
        assert_eq!((read.key(), &read), (hash(b"key 7"), &keyed));
        assert_eq!(read.with_policy(&Policy::default().attempts(2)).unwrap().key(), read.key());
        assert_eq!(read.with_payload(Format::Json, b"{}").unwrap().key(), read.key());
    }

    #[test]
    fn headers_survive_every_change_and_cost_nothing_when_there_are_none() {
        let plain = job(&Policy::default());
        assert!(plain.headers().is_empty());
        let none = plain.with_headers(&Headers::new()).unwrap();
        assert_eq!(none.as_bytes(), plain.as_bytes());
        let headers = Headers::new().with("tenant", "acme").with("locale", "de");
        let with = plain.with_headers(&headers).unwrap();
        let tick = Tick::new("nightly", Timestamp::from_millis(5), true);
        let changed = [
            with.clone().calling(),
            with.clone().keyed(7),
            with.clone().unkeyed(),
            with.clone().keeping_completion(Duration::from_secs(9)),
            with.with_payload(Format::Json, b"{}"),
            with.with_policy(&Policy::default().attempts(3)),
            with.for_tick(JobId::generate(), tick),
        ];
        for new in changed.map(Result::unwrap) {
            let read = Envelope::parse(new.as_bytes().to_vec()).unwrap();
            assert_eq!((read.headers(), &read), (&headers, &new));
        }
        let other = with.with_headers(&Headers::new().with("a", "b")).unwrap();
        assert_eq!(other.headers().len(), 1);
        let error = plain.with_headers(&Headers::new().with("A", "b")).unwrap_err();
        assert_eq!(error.job_id(), Some(plain.id()));
    }

    #[test]
    fn a_tick_and_another_policy_keep_everything_else() {
        let (id, at) = (JobId::generate(), Timestamp::from_millis(5));
        let tick = Tick::new("nightly", at, true);
        let policy = Policy::default().attempts(3);
        let ticked = job(&policy).for_tick(id, tick.clone()).unwrap();
        let read = Envelope::parse(ticked.as_bytes().to_vec()).unwrap();
        assert_eq!((read.id(), read.tick(), read.policy()), (id, Some(&tick), policy));
        assert_eq!(read, ticked);
        let other = ticked.with_policy(&Policy::default().attempts(4)).unwrap();
        assert_eq!((other.policy().attempts, other.tick(), other.id()), (4, Some(&tick), id));
        assert_eq!(other.raw_job().payload, job(&Policy::default()).raw_job().payload);
        assert!(ticked.with_policy(&Policy::default().attempts(0)).is_err());
    }

    #[test]
    fn every_change_keeps_the_trace_and_bytes_that_are_none_are_passed_over() {
        let parent = TraceParent::new([1; 16], [2; 8], 1);
        let traced = job(&Policy::default()).with_trace_parent(parent.unwrap()).unwrap();
        assert_eq!(traced.as_bytes().len() - job(&Policy::default()).as_bytes().len(), 32);
        let tick = Tick::new("nightly", Timestamp::from_millis(5), true);
        let changed = [
            traced.clone().calling(),
            traced.clone().keyed(7),
            traced.clone().keyed(7).unwrap().unkeyed(),
            traced.clone().keeping_completion(Duration::from_secs(9)),
            traced.with_payload(Format::Json, b"{}"),
            traced.with_policy(&Policy::default().attempts(2)),
            traced.for_tick(JobId::generate(), tick),
            traced.with_headers(&Headers::new().with("n", "v")),
        ];
        for new in changed.map(Result::unwrap) {
            let read = Envelope::parse(new.as_bytes().to_vec()).unwrap();
            assert_eq!(read.trace_parent(), parent, "{new:?}");
        }
        for bytes in [&b"\xc4\x00"[..], b"\xc4\x02xx", &[&b"\xc4\x19"[..], &[0; 25]].concat()] {
            let entry = [b"\xa1p", bytes].concat();
            let read = with_entries(&Policy::default(), &[&entry]);
            assert_eq!(read.trace_parent(), None);
        }
    }

    #[test]
    fn an_edited_payload_keeps_everything_else() {
        let policy = Policy::default().attempts(3);
        let edited = job(&policy).with_payload(Format::Json, br#"{"u":8}"#).unwrap();
        let read = Envelope::parse(edited.as_bytes().to_vec()).unwrap();
        assert_eq!((read.kind(), read.policy()), ("kind", policy));
        assert_eq!(read.raw_job().format, Format::Json);
        assert_eq!(read.raw_job().payload, br#"{"u":8}"#);
        let huge = vec![0; MAX_PAYLOAD + 1];
        assert!(edited.with_payload(Format::Json, &huge).is_err_and(|e| e.is_too_large()));
    }

    #[test]
    fn every_change_keeps_options_of_a_later_version() {
        // Wide forms, which this version would write shorter, and a map, bytes and an extension.
        let entries: [&[u8]; 3] =
            [b"\xd9\x02zz\xcd\0\x07", b"\xa1Z\x81\xa1h\xc4\x01x", b"\xa1y\xd4\x05\x09"];
        let unknown = entries.concat();
        let old = with_entries(&Policy::default().attempts(3), &entries);
        let tick = Tick::new("nightly", Timestamp::from_millis(5), true);
        let changed = [
            old.clone().calling(),
            old.clone().keyed(7),
            old.clone().keeping_completion(Duration::from_secs(9)),
            old.with_payload(Format::Json, b"{}"),
            old.with_policy(&Policy::default()),
            old.for_tick(JobId::generate(), tick),
            old.with_headers(&Headers::new().with("n", "v")),
            old.with_trace_parent(TraceParent::new([1; 16], [2; 8], 1).unwrap()),
        ];
        for new in changed.map(Result::unwrap) {
            let read = Envelope::parse(new.as_bytes().to_vec()).unwrap();
            assert_eq!(read, new);
            assert!(new.as_bytes()[..new.payload].ends_with(&unknown), "{new:?}");
            assert_eq!(new.unknown_requirement(), Some("Z"));
        }
    }

    #[test]
    fn options_above_the_cap_are_refused_with_size_and_advice() {
        let large = [&b"\xa1y\xda\x0f\xf5"[..], &[b'x'; 0xff5]].concat();
        let full = with_entries(&Policy::default(), &[&large]);
        let tick = Tick::new(&"n".repeat(128), Timestamp::from_millis(5), true);
        for error in [
            full.for_tick(JobId::generate(), tick).unwrap_err(),
            full.with_policy(&Policy::default().attempts(3).timeout(None)).unwrap_err(),
            full.keyed(u64::MAX).unwrap_err(),
        ] {
            let text = error.to_string();
            assert!(error.is_invalid() && text.contains("the most is 4096"), "{text}");
            assert!(text.contains("the option \"y\" alone takes 4090"), "{text}");
        }
    }
}
