//! Counts the round trips to the servers by the work that they do: how long the answers take, and
//! how many trips fail. Counts nothing, and reads no clock, until a program asks for the counts.

use std::array;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use redis::{RedisError, RedisResult};
use tokio::time::Instant;

use crate::broker::connection::failure::{classify, is_nogroup};
use crate::broker::connection::request::Replies;
use crate::job::Error;

/// The work that a round trip does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RedisOperation {
    /// Jobs and entries of batches are stored.
    Enqueue,
    /// Jobs are claimed. Settlements go along.
    Claim,
    /// Jobs are settled, without a claim.
    Settle,
    /// A node tells that it lives.
    Beat,
    /// A leader moves due jobs to their lanes, seals batches and publishes ticks.
    Promote,
    /// All else: looks of operators, orders, elections, history.
    Other,
}

impl RedisOperation {
    /// All operations.
    pub const ALL: [Self; 6] =
        [Self::Enqueue, Self::Claim, Self::Settle, Self::Beat, Self::Promote, Self::Other];

    /// Returns the name, as it is in the metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Enqueue => "enqueue",
            Self::Claim => "claim",
            Self::Settle => "settle",
            Self::Beat => "beat",
            Self::Promote => "promote",
            Self::Other => "other",
        }
    }
}

/// The exponent of the first bound, which is 64 µs.
const FIRST: u32 = 6;
/// The number of bounds.
const BOUNDS: usize = 18;

/// The counts of the round trips of one operation, since the program began to count.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoundTripCounts {
    /// Answers that took less than each bound, but not less than the one before; the last number is
    /// of those beyond all bounds.
    pub times: [u64; BOUNDS + 1],
    /// How long all answers took together, in microseconds.
    pub micros: u64,
    /// Trips that failed, in the order of [`RoundTripCounts::ERRORS`].
    pub errors: [u64; 4],
}

impl RoundTripCounts {
    /// The outcome of a trip that failed: the server has not done the work, it may have, it denies
    /// the user, or its answer was not understood.
    pub const ERRORS: [&'static str; 4] = ["refused", "unknown", "auth", "protocol"];

    /// Returns the bounds of the times: powers of two from 64 µs to 8.4 s.
    #[must_use]
    pub fn bounds() -> [Duration; BOUNDS] {
        array::from_fn(|at| Duration::from_micros(1 << (FIRST as usize + at)))
    }

    /// Returns the counts that have been added since an earlier look.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self {
            times: array::from_fn(|at| self.times[at].saturating_sub(before.times[at])),
            micros: self.micros.saturating_sub(before.micros),
            errors: array::from_fn(|at| self.errors[at].saturating_sub(before.errors[at])),
        }
    }
}

/// A round trip that has begun.
#[derive(Debug, Clone, Copy)]
pub(in crate::broker) struct Trip {
    operation: RedisOperation,
    /// `None` when its time is not counted.
    since: Option<Instant>,
}

impl Trip {
    /// Returns a trip that has begun at this time.
    pub(in crate::broker) fn since(operation: RedisOperation, since: Instant) -> Self {
        Self { operation, since: Some(since) }
    }

    /// Returns a trip on which the server waits for something, so that its time says nothing of the
    /// server. Only its errors are counted.
    pub(in crate::broker) fn waiting(operation: RedisOperation) -> Self {
        Self { operation, since: None }
    }
}

/// The counts of the round trips of a process.
#[derive(Debug, Default)]
pub(in crate::broker) struct RoundTrips {
    counts: AtomicBool,
    operations: [Counters; RedisOperation::ALL.len()],
}

/// The counters of one operation.
#[derive(Debug, Default)]
struct Counters {
    times: [AtomicU64; BOUNDS + 1],
    micros: AtomicU64,
    errors: [AtomicU64; RoundTripCounts::ERRORS.len()],
}

impl RoundTrips {
    /// Counts from now on.
    pub(in crate::broker) fn begin(&self) {
        self.counts.store(true, Ordering::Relaxed);
    }

    fn is_off(&self) -> bool {
        !self.counts.load(Ordering::Relaxed)
    }

    /// Begins a trip. Reads the clock only when trips are counted.
    pub(in crate::broker) fn trip(&self, operation: RedisOperation) -> Trip {
        Trip { operation, since: (!self.is_off()).then(Instant::now) }
    }

    /// Ends a trip with its only command.
    pub(in crate::broker) fn end<T>(&self, trip: Trip, answer: &RedisResult<T>) {
        if !self.is_off() {
            self.add(trip, answer.as_ref().err());
        }
    }

    /// Ends a trip with many commands. It has failed when one of them has.
    pub(in crate::broker) fn end_all(&self, trip: Trip, answer: &RedisResult<Replies>) {
        if !self.is_off() {
            let error = match answer {
                Err(error) => Some(error),
                Ok(replies) => replies.iter().find_map(|reply| reply.as_ref().err()),
            };
            self.add(trip, error);
        }
    }

    /// Adds a trip that took this long, or failed, without the other two functions.
    fn add(&self, trip: Trip, error: Option<&RedisError>) {
        let counters = &self.operations[trip.operation as usize];
        if let Some(since) = trip.since
            && !error.is_some_and(RedisError::is_io_error)
        {
            let micros = u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX);
            counters.times[bucket(micros)].fetch_add(1, Ordering::Relaxed);
            counters.micros.fetch_add(micros, Ordering::Relaxed);
        }
        if let Some(error) = error.filter(|error| is_failure(error)) {
            let error = classify(error.clone(), "");
            counters.errors[error_number(&error)].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the counts, in the order of [`RedisOperation::ALL`].
    pub(in crate::broker) fn read(&self) -> [RoundTripCounts; RedisOperation::ALL.len()] {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        self.operations.each_ref().map(|counters| RoundTripCounts {
            times: counters.times.each_ref().map(get),
            micros: get(&counters.micros),
            errors: counters.errors.each_ref().map(get),
        })
    }
}

/// Returns the number of the bounds that are not above this time.
fn bucket(micros: u64) -> usize {
    let digits = u64::BITS - micros.leading_zeros();
    usize::try_from(digits.saturating_sub(FIRST)).unwrap_or(BOUNDS).min(BOUNDS)
}

/// Returns false for the answers with which groups of consumers are created.
fn is_failure(error: &RedisError) -> bool {
    error.code() != Some("BUSYGROUP") && !is_nogroup(error)
}

/// Returns the place of an error in [`RoundTripCounts::ERRORS`].
fn error_number(error: &Error) -> usize {
    match error {
        error if error.is_auth() => 2,
        error if error.is_unknown() => 1,
        error if error.is_protocol() => 3,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    fn error(reply: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("-{reply}\r\n").as_bytes()).unwrap();
        crate::broker::connection::reply::checked(value).unwrap_err()
    }

    fn lost() -> RedisError {
        std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()
    }

    fn counts(trips: &RoundTrips, operation: RedisOperation) -> RoundTripCounts {
        trips.read()[operation as usize].clone()
    }

    #[test]
    fn the_bounds_are_those_of_the_buckets() {
        for (at, bound) in RoundTripCounts::bounds().into_iter().enumerate() {
            let micros = u64::try_from(bound.as_micros()).unwrap();
            assert_eq!((bucket(micros - 1), bucket(micros)), (at, at + 1), "{bound:?}");
        }
        assert_eq!((bucket(0), bucket(u64::MAX)), (0, BOUNDS));
    }

    #[test]
    fn the_operations_are_counted_by_their_places() {
        for (at, operation) in RedisOperation::ALL.into_iter().enumerate() {
            assert_eq!(operation as usize, at);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn trips_are_counted_from_the_first_question_on() {
        let trips = RoundTrips::default();
        let before = trips.trip(RedisOperation::Claim);
        trips.end(before, &Ok(()));
        assert_eq!(counts(&trips, RedisOperation::Claim), RoundTripCounts::default());
        trips.begin();
        let trip = trips.trip(RedisOperation::Claim);
        tokio::time::advance(Duration::from_micros(100)).await;
        trips.end(trip, &Ok(()));
        trips.end(before, &Ok(()));
        let counted = counts(&trips, RedisOperation::Claim);
        assert_eq!((counted.times[1], counted.micros), (1, 100));
        assert_eq!(counted.times.iter().sum::<u64>(), 1, "one had begun before, without a time");
        assert_eq!(counts(&trips, RedisOperation::Settle), RoundTripCounts::default());
        assert_eq!(counted.since(&counted), RoundTripCounts::default());
    }

    #[test]
    fn errors_are_counted_by_what_is_known_and_lost_answers_have_no_time() {
        let trips = RoundTrips::default();
        trips.begin();
        let operation = RedisOperation::Enqueue;
        for reply in [
            Err(error("OOM command not allowed when used memory > 'maxmemory'.")),
            Err(lost()),
            Err(error("NOPERM no permissions to run the 'xadd' command")),
            Err(error("ERR syntax error")),
            Ok(()),
        ] {
            trips.end(trips.trip(operation), &reply);
        }
        let counted = counts(&trips, operation);
        assert_eq!(counted.errors, [1; 4]);
        assert_eq!(counted.times.iter().sum::<u64>(), 4);
        trips.end(Trip::waiting(operation), &Err::<(), _>(lost()));
        let counted = counts(&trips, operation);
        assert_eq!((counted.errors[1], counted.times.iter().sum::<u64>()), (2, 4));
    }

    #[test]
    fn a_pipeline_fails_once_and_not_by_a_group_that_is_there() {
        let trips = RoundTrips::default();
        trips.begin();
        let end = |replies: Vec<RedisResult<Value>>| {
            trips.end_all(trips.trip(RedisOperation::Settle), &Ok(replies));
        };
        end(vec![Ok(Value::Nil), Err(error("NOPERM no")), Err(error("NOPERM no"))]);
        end(vec![Err(error("BUSYGROUP Consumer Group name already exists"))]);
        end(vec![Err(error("NOGROUP No such key 'k' or consumer group 'workers'"))]);
        let counted = counts(&trips, RedisOperation::Settle);
        assert_eq!((counted.errors, counted.times.iter().sum::<u64>()), ([0, 0, 1, 0], 3));
    }
}
