//! The counters of a job: its failures, crashes and deliveries. Counters are stored beside the
//! envelope; a job enqueued straight into a lane has none until it is moved.

use serde::Serialize;

use crate::job::packed::{Form, Items};
use crate::job::{Cause, Error, Failure, Lane, Timestamp};
use crate::policy::attempt::{Attempt, Facts};
use crate::policy::history::StoredHistory;

/// The number of elements that every version writes.
const ELEMENTS: usize = 6;

/// The most elements of an array with a header of one byte. The number of failures must be byte 5
/// of a head, because `settle.lua` reads it there.
const MAX_ELEMENTS: usize = 15;

/// The history of a job, in numbers. A job enqueued straight into a lane has no stored counters
/// until it is moved.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// The number of failed attempts.
    pub failures: u32,
    /// The number of nodes that died while they ran the job.
    pub crashes: u32,
    /// How often a slot got the job and the job came back. The fence of the next claim is one more.
    pub deliveries: u64,
    /// The time of the first failure, in milliseconds since 1970; 0 when no attempt has failed.
    first_failed: i64,
    /// The lane into which the job was enqueued, as an index into [`Lane::ALL`].
    home: u8,
    /// The last failure, shown to operators.
    pub last_failure: Option<Failure>,
    /// The attempts so far, and the counters of later versions; `None` when there are none.
    #[serde(skip)]
    history: Option<Box<StoredHistory>>,
}

impl Counters {
    /// Creates the counters of a job without a history, enqueued into `lane`.
    #[must_use]
    pub fn starting_in(lane: Lane) -> Self {
        let index = u8::try_from(lane.index()).unwrap_or_default();
        Self { home: index, ..Self::default() }
    }

    /// Sets the generation, for a job whose id is derived from a name. In counters without a
    /// history it takes the last eight bytes of the stored form, where `enqueue.lua` puts it.
    #[must_use]
    pub(crate) fn of_generation(mut self, began: Timestamp) -> Self {
        let millis = u64::try_from(began.millis()).unwrap_or_default();
        self.history.get_or_insert_default().generation = Some(millis);
        self
    }

    /// Returns the generation of a job whose id is derived from a name: the time of its enqueue or
    /// of its last revival, by the server's clock. `None` for other jobs.
    #[must_use]
    pub fn generation(&self) -> Option<Timestamp> {
        let millis = self.history.as_ref()?.generation?;
        Some(Timestamp::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
    }

    /// Returns the lane in which the job waits unless it is a suspect: high, low, or else normal.
    #[must_use]
    pub fn home(&self) -> Lane {
        match Lane::from_index(usize::from(self.home)) {
            Some(lane @ (Lane::High | Lane::Low)) => lane,
            _ => Lane::Normal,
        }
    }

    /// Returns true from the second crash on. A node runs one suspect at a time.
    #[must_use]
    pub fn is_suspect(&self) -> bool {
        self.crashes >= 2
    }

    /// Returns the lane in which the job waits once it is due.
    #[must_use]
    pub fn lane(&self) -> Lane {
        if self.is_suspect() { Lane::Suspect } else { self.home() }
    }

    /// Returns the time of the first failure; `None` when no attempt has failed.
    #[must_use]
    pub fn first_failed(&self) -> Option<Timestamp> {
        (self.first_failed != 0).then(|| Timestamp::from_millis(self.first_failed))
    }

    /// Returns the attempts that failed or crashed, the first one first: the first seven and the last
    /// seven. A revived job keeps them.
    #[must_use]
    pub fn attempts(&self) -> Vec<Attempt> {
        self.history.as_ref().map(|history| history.attempts()).unwrap_or_default()
    }

    /// Returns true when an attempt of the job is known to have begun: one has failed or crashed, or
    /// [`begun`](Self::begun) was stored. Kept by a revival.
    #[must_use]
    pub(crate) fn has_begun(&self) -> bool {
        let counted = self.failures > 0 || self.crashes > 0;
        counted || self.history.as_ref().is_some_and(|history| history.has_begun())
    }

    /// Returns the history of a job of which an attempt begins.
    #[must_use]
    pub(crate) fn begun(mut self) -> Self {
        self.history.get_or_insert_default().begun = true;
        self
    }

    /// Returns the reason for burying a job with this history: its last failure.
    #[must_use]
    pub(crate) fn reason(&self) -> Failure {
        let unknown = || Failure::new(Cause::Error, "no reason was recorded");
        self.last_failure.clone().unwrap_or_else(unknown)
    }

    /// Returns the history of a dead job that is revived: failures and crashes are reset, but
    /// deliveries are kept, so that fences keep growing.
    #[must_use]
    pub(crate) fn revived(&self) -> Self {
        let (failures, crashes, first_failed) = (0, 0, 0);
        let mut next = Self { failures, crashes, first_failed, ..self.clone() };
        if let Some(history) = &mut next.history {
            history.limited = 0;
        }
        next
    }

    /// Returns the history after one more delivery from which the job came back.
    #[must_use]
    pub(crate) fn returned(&self) -> Self {
        Self { deliveries: self.deliveries.saturating_add(1), ..self.clone() }
    }

    /// Returns how often the attempts of the job have met a limit since one has failed.
    pub(crate) fn limited(&self) -> u32 {
        self.history.as_ref().map_or(0, |history| history.limited)
    }

    /// Returns the history after one more delivery in which the job met a limit of another system.
    #[must_use]
    pub(crate) fn met_limit(&self) -> Self {
        let mut next = self.returned();
        let history = next.history.get_or_insert_default();
        history.limited = history.limited.saturating_add(1);
        next
    }

    /// Returns the history after a failed attempt.
    #[must_use]
    pub(crate) fn failed(&self, failure: Failure, facts: Facts<'_>) -> Self {
        let mut next = self.clone();
        next.failures = next.failures.saturating_add(1);
        if let Some(history) = &mut next.history {
            history.limited = 0;
        }
        if next.first_failed == 0 {
            next.first_failed = facts.now.millis();
        }
        next.note(failure, facts);
        next
    }

    /// Returns the history after the node that ran the job died.
    #[must_use]
    pub(crate) fn crashed(&self, failure: Failure, facts: Facts<'_>) -> Self {
        let mut next = self.returned();
        next.crashes = next.crashes.saturating_add(1);
        next.note(failure, facts);
        next
    }

    fn note(&mut self, failure: Failure, facts: Facts<'_>) {
        self.history.get_or_insert_default().add(&Attempt::new(&failure, facts));
        self.last_failure = Some(failure);
    }

    /// Returns the stored form: a MessagePack array, to which later versions may append.
    pub(crate) fn encode(&self) -> Vec<u8> {
        // Writing numbers and short strings into a Vec cannot fail.
        let counters = rmp_serde::to_vec(self).unwrap_or_default();
        let Some(history) = &self.history else { return counters };
        let mut array = Vec::with_capacity(counters.len() + 128);
        Form::Array.write_header(ELEMENTS + history.len(), &mut array);
        array.extend(counters.get(1..).unwrap_or_default());
        history.write(&mut array);
        array
    }

    /// Reads the stored form. Elements that an earlier version did not write get their default;
    /// those that a later version appended are kept.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, Error> {
        Self::read(bytes)
            .map_err(|error| Error::codec(format!("the stored counters cannot be read: {error}")))
    }

    fn read(bytes: &[u8]) -> Result<Self, Error> {
        let mut items = Items::new(Form::Array, bytes)?;
        if items.left() > MAX_ELEMENTS {
            return Err(Error::codec(format!("there are more than {MAX_ELEMENTS}")));
        }
        let read = Self {
            failures: items.take()?,
            crashes: items.take()?,
            deliveries: items.take()?,
            first_failed: items.take_or_default()?,
            home: items.take_or_default()?,
            // Another writer may not have cut the message; cut, the counters fit their length field
            // when they are written again.
            last_failure: items
                .take_or_default::<Option<Failure>>()?
                .map(|failure| Failure::new(failure.cause, failure.message)),
            history: StoredHistory::read(&mut items)?,
        };
        items.end()?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_an_error() {
        let counters = Counters::starting_in(Lane::Low)
            .failed(Failure::new(Cause::Timeout, "too slow"), Facts::at(Timestamp::from_millis(5)))
            .returned();
        let bytes = counters.encode();
        assert_eq!(Counters::decode(&bytes).unwrap(), counters);
        assert_eq!((counters.home(), counters.lane()), (Lane::Low, Lane::Low));
        for cut in 0..bytes.len() {
            assert!(Counters::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        }
    }

    #[test]
    fn two_crashes_make_a_suspect() {
        let crash = || Failure::new(Cause::Crash, "node a");
        let facts = Facts::at(Timestamp::from_millis(5));
        let once = Counters::starting_in(Lane::High).crashed(crash(), facts);
        let twice = once.crashed(crash(), facts);
        assert_eq!((once.lane(), twice.lane()), (Lane::High, Lane::Suspect));
        assert_eq!((twice.home(), twice.deliveries, twice.failures), (Lane::High, 2, 0));
    }

    #[test]
    fn counters_of_a_later_version_survive_every_change() {
        let failure = || Failure::new(Cause::Error, "no");
        let facts = Facts::at(Timestamp::from_millis(5));
        let (entry, element) = (&b"\xa2zz\xcd\0\x07"[..], &b"\x92\xc3\xa3new"[..]);
        let mut stored = Counters::starting_in(Lane::Low).encode();
        stored[0] = 0x98;
        stored.extend([b"\x81", entry, element].concat());
        let later = Counters::decode(&stored).unwrap();
        assert_eq!(later.encode(), stored);
        for next in [
            later.failed(failure(), facts),
            later.crashed(failure(), facts),
            later.returned(),
            later.revived(),
        ] {
            let bytes = next.encode();
            assert!(bytes.ends_with(&[entry, element].concat()), "{next:?}");
            assert_eq!(Counters::decode(&bytes).unwrap(), next);
        }
    }

    #[test]
    fn a_job_that_never_failed_stores_no_attempts() {
        let counters = Counters::starting_in(Lane::High).returned().revived();
        assert_eq!(counters.encode()[0], 0x96);
        assert!(counters.attempts().is_empty());
    }

    #[test]
    fn a_generation_ends_the_counters_of_a_new_job_and_survives_every_change() {
        let began = Timestamp::from_millis(1_700_000_000_007);
        let new = Counters::starting_in(Lane::Low).of_generation(began);
        let bytes = new.encode();
        assert_eq!(bytes[bytes.len() - 8..], 1_700_000_000_007_u64.to_be_bytes());
        let facts = Facts::at(Timestamp::from_millis(5));
        let failed = new.failed(Failure::new(Cause::Error, "no"), facts);
        for next in [new.clone(), failed.clone(), failed.returned(), failed.revived()] {
            assert_eq!(next.generation(), Some(began));
            assert_eq!(Counters::decode(&next.encode()).unwrap(), next);
        }
        let twice = [&bytes[..7], b"\x82", &bytes[8..], &bytes[8..]].concat();
        let error = Counters::decode(&twice).unwrap_err();
        assert!(error.is_codec() && error.to_string().contains("twice"), "{error}");
        let text = [&bytes[..10], b"\xa1x"].concat();
        assert!(Counters::decode(&text).is_err_and(|error| error.is_codec()));
    }

    #[test]
    fn the_beginning_of_an_attempt_is_kept_by_every_change() {
        let fresh = Counters::starting_in(Lane::High);
        assert!(!fresh.has_begun() && !fresh.returned().has_begun());
        let begun = fresh.clone().of_generation(Timestamp::from_millis(7)).begun();
        for next in [begun.clone(), begun.returned(), begun.revived()] {
            assert!(next.has_begun());
            assert_eq!(Counters::decode(&next.encode()).unwrap(), next);
        }
        let facts = Facts::at(Timestamp::from_millis(5));
        let failed = fresh.failed(Failure::new(Cause::Error, "no"), facts);
        assert!(failed.has_begun() && failed.revived().has_begun());
        let bytes = fresh.begun().encode();
        assert!(bytes.ends_with(b"\x81\xa1b\xc3"));
        let number = [&bytes[..bytes.len() - 1], b"\x07"].concat();
        assert!(Counters::decode(&number).is_err_and(|error| error.is_codec()));
    }

    #[test]
    fn the_failures_are_the_second_byte_however_much_is_stored() {
        let mut counters = Counters::default();
        let mut stored = counters.encode();
        stored[0] = 0x9f;
        stored.extend([&[0x80][..], &[0xc0; 8]].concat());
        counters = Counters::decode(&stored).unwrap();
        assert_eq!(counters.encode()[..2], [0x9f, 0]);
        counters = counters.failed(Failure::new(Cause::Error, "no"), Facts::at(Timestamp::now()));
        assert_eq!(counters.encode()[..2], [0x9f, 1]);
        assert_eq!(counters.revived().encode()[..2], [0x9f, 0]);
        stored.splice(..1, [0xdc, 0, 16]);
        stored.push(0xc0);
        assert!(Counters::decode(&stored).is_err_and(|error| error.is_codec()));
    }
}
