//! The time after which a job does not start.

use std::time::Duration;

use crate::job::{
    Error, Timestamp, batcher_of, check_expires_in, clamped_duration, clamped_millis,
};
use crate::stored::BatchPayload;
use crate::stored::envelope::{Envelope, Options};

impl Envelope {
    /// Sets the time after which the job does not start for the first time, by the server's clock, in
    /// place of one that was set before.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub fn expiring_at(self, at: Timestamp) -> Result<Self, Error> {
        let mut options = self.options.as_deref().cloned().unwrap_or_default();
        (options.expires_at, options.expires_in) = (Some(at.millis()), None);
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Sets the time within which the job starts, counted from its publishing, in place of one that
    /// was set before. Above ten years it counts as ten years.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for less than 1 ms, and when the options of the job then take more than
    /// 4,096 bytes.
    pub fn expiring_in(self, time: Duration) -> Result<Self, Error> {
        check_expires_in(time).map_err(|error| error.with_job(self.id))?;
        let options = self.options.as_deref().cloned().unwrap_or_default();
        let mut options = options.with_expires_in(Some(time));
        options.expires_at = None;
        self.rebuilt(options, self.is_json(), &self.raw[self.payload..])
    }

    /// Makes the time within which the job starts a moment, which is counted from `ready`: the time of
    /// its publishing, or until which it is delayed. A job without such a time stays as it is.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when the options of the job then take more than 4,096 bytes.
    pub fn published(self, ready: Timestamp) -> Result<Self, Error> {
        match self.expires_in() {
            Some(time) => self.expiring_at(ready + time),
            None => Ok(self),
        }
    }

    /// Returns the time within which the job starts, counted from its publishing; `None` once that is
    /// a moment, and for a job without one.
    #[must_use]
    pub fn expires_in(&self) -> Option<Duration> {
        self.options.as_ref()?.expires_in()
    }

    /// Returns the time after which the job does not start for the first time, by the server's clock.
    /// Of a batch it is counted from the sealing of its list.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        let options = self.options.as_ref()?;
        if let Some(millis) = options.expires_at {
            return Some(Timestamp::from_millis(millis));
        }
        let time = options.expires_in()?;
        batcher_of(self.kind())?;
        let batch = BatchPayload::read(self.raw_job()).ok()?;
        Some(Timestamp::from_millis(batch.sealed) + time)
    }
}

impl Options {
    /// Sets the time within which the job starts, counted from its publishing; `None` for no limit.
    pub(crate) fn with_expires_in(mut self, time: Option<Duration>) -> Self {
        self.expires_in = time.map(|time| clamped_millis(time).unsigned_abs());
        self
    }

    /// Returns the time within which the job starts, counted from its publishing.
    pub(crate) fn expires_in(&self) -> Option<Duration> {
        self.expires_in.map(clamped_duration)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, JobId, payload};
    use crate::stored::envelope::options::tests::with_entries;
    use crate::{Counters, Policy};

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn job(kind: &str, write: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>) -> Envelope {
        Envelope::build(JobId::generate(), kind, 1, None, Format::MessagePack, write).unwrap()
    }

    #[test]
    fn a_time_becomes_a_moment_when_the_job_is_published() {
        let second = Duration::from_secs(1);
        let plain = job("k", |_| Ok(()));
        assert_eq!((plain.expires_at(), plain.expires_in()), (None, None));
        assert_eq!(plain.clone().published(NOW).unwrap().as_bytes(), plain.as_bytes());
        let new = plain.clone().expiring_in(second).unwrap();
        assert_eq!((new.expires_at(), new.expires_in()), (None, Some(second)));
        let stored = new.published(NOW).unwrap();
        let read = Envelope::parse(stored.as_bytes().to_vec()).unwrap();
        assert_eq!((read.expires_at(), read.expires_in()), (Some(NOW + second), None));
        let again = read.published(NOW + second).unwrap();
        assert_eq!(again.expires_at(), Some(NOW + second), "a moment stays");
        let late = plain.clone().expiring_in(Duration::MAX).unwrap().published(NOW).unwrap();
        let ten_years = Duration::from_secs(3_650 * 86_400);
        assert_eq!(late.expires_at(), Some(NOW + ten_years));
        let error = plain.expiring_in(Duration::from_micros(999)).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("at least 1 ms"), "{error}");
    }

    #[test]
    fn a_batch_expires_by_the_sealing_of_its_list() {
        let sealed = NOW.millis();
        let group = String::new();
        let batch = BatchPayload { group, entries: 1, bytes: 1, since: sealed - 9, sealed };
        let second = Duration::from_secs(1);
        let write = |out: &mut Vec<u8>| payload::encode(&batch, out);
        let job = job("poolder.batch/rows", write).expiring_in(second).unwrap();
        assert_eq!(job.expires_at(), Some(NOW + second));
        let broken = job.with_payload(Format::MessagePack, b"\xc0").unwrap();
        assert_eq!(broken.expires_at(), None);
    }

    #[test]
    fn every_change_keeps_the_time() {
        let moment = job("k", |_| Ok(())).expiring_at(NOW).unwrap();
        let changed = [
            moment.clone().calling(),
            moment.clone().in_group("acme"),
            moment.with_payload(Format::Json, b"{}"),
            moment.with_policy(&Policy::default().attempts(3)),
        ];
        for new in changed.map(Result::unwrap) {
            let read = Envelope::parse(new.as_bytes().to_vec()).unwrap();
            assert_eq!((read.expires_at(), &read), (Some(NOW), &new));
        }
        assert!(!Counters::default().has_begun());
        for entry in
            [&b"\xa1x\xcf\xff\xff\xff\xff\xff\xff\xff\xff"[..], b"\xa1x\xa1s", b"\xa1d\xff"]
        {
            let mut raw = with_entries(&Policy::default(), &[b"\xa1y\xc0"]).as_bytes().to_vec();
            let at = raw.len() - 4 - 3;
            raw.splice(at..at + 3, entry.iter().copied());
            let length = u16::try_from(1 + entry.len()).unwrap().to_be_bytes();
            raw[23..25].copy_from_slice(&length);
            assert!(Envelope::parse(raw).is_err_and(|error| error.is_codec()));
        }
    }
}
