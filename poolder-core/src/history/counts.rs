//! The stored counters of one series in one frame: a MessagePack map from an index to a count, in
//! which counts of 0 are left out. The indices are part of the stored format, so they are frozen:
//!
//! ```text
//! 0 to 8      attempts that ended: done, failed, timeout, panic, payload, crashed, snoozed, cancelled,
//!             handed back
//! 9           jobs that were buried
//! 10, 11      sum of the run times in µs, sum of the waits in ms
//! 12          reserved
//! 13          attempts that ended: not for us
//! 16 + b      run times in bucket b
//! 144 + b     waits in bucket b
//! 272 to 278  of a queue: jobs that are ready, running, due, retrying, dead, suspects; slots
//! ```

use serde::Deserialize;
use serde::de::{Deserializer as _, MapAccess, SeqAccess, Visitor};

use super::buckets::{BUCKETS, bucket_end, bucket_start};
use super::sums::{AttemptEnd, KindSums};
use crate::job::Error;
use crate::job::packed::Form;

const DIED: u16 = 9;
const RUN_MICROS: u16 = 10;
const WAIT_MILLIS: u16 = 11;
const NOT_FOR_US: u16 = 13;
const RUN: u16 = 16;
const WAIT: u16 = 144;
const GAUGES: u16 = 272;

/// The index at which the errors of a group are counted.
const SEEN: u16 = 0;

/// The most counts of a series, and the highest index; what lies beyond is not read.
const MAX_COUNTS: usize = 1_024;

/// The stored counters of one series in one frame.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Index and count, in ascending order of the indices; no count is 0.
    counts: Vec<(u16, u64)>,
}

impl Counts {
    /// Returns the counters of a kind in their stored form.
    #[must_use]
    pub fn of(sums: &KindSums) -> Self {
        let mut counts = Self::default();
        for (bucket, index) in (0..BUCKETS).zip(RUN..) {
            counts.add(index, sums.run()[bucket]);
        }
        for (bucket, index) in (0..BUCKETS).zip(WAIT..) {
            counts.add(index, sums.wait()[bucket]);
        }
        for end in AttemptEnd::ALL {
            counts.add(index_of(end), sums.ended(end));
        }
        counts.add(DIED, sums.died());
        counts.add(RUN_MICROS, sums.run_micros());
        counts.add(WAIT_MILLIS, sums.wait_micros() / 1_000);
        counts
    }

    /// Returns the count of an error that was seen so often.
    #[must_use]
    pub fn seen(times: u64) -> Self {
        let mut counts = Self::default();
        counts.add(SEEN, times);
        counts
    }

    /// Returns the gauges of a queue in their stored form.
    pub(crate) fn gauges(values: [u64; 7]) -> Self {
        let mut counts = Self::default();
        values.into_iter().zip(GAUGES..).for_each(|(value, index)| counts.add(index, value));
        counts
    }

    /// Returns the gauges of a queue.
    pub(crate) fn read_gauges(&self) -> [u64; 7] {
        let mut index = GAUGES..;
        [(); 7].map(|()| index.next().map_or(0, |index| self.get(index)))
    }

    /// Returns true when nothing was counted.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// Adds the counts of another frame.
    pub fn merge(&mut self, other: &Self) {
        other.counts.iter().for_each(|(index, count)| self.add(*index, *count));
    }

    fn add(&mut self, index: u16, count: u64) {
        if count == 0 {
            return;
        }
        match self.counts.binary_search_by_key(&index, |(index, _)| *index) {
            Ok(at) => self.counts[at].1 = self.counts[at].1.saturating_add(count),
            Err(at) => self.counts.insert(at, (index, count)),
        }
    }

    /// Returns the sum of the counts of ended attempts; of an error, how often it was seen.
    pub(crate) fn total(&self) -> u64 {
        let ended = self.counts[..self.counts.partition_point(|(index, _)| *index < DIED)].iter();
        let ended = ended.fold(0_u64, |sum, (_, count)| sum.saturating_add(*count));
        ended.saturating_add(self.get(NOT_FOR_US))
    }

    /// Returns the count at an index.
    fn get(&self, index: u16) -> u64 {
        let at = self.counts.binary_search_by_key(&index, |(index, _)| *index);
        at.map_or(0, |at| self.counts[at].1)
    }

    /// Returns the number of attempts that ended in this way.
    #[must_use]
    pub fn ended(&self, end: AttemptEnd) -> u64 {
        self.get(index_of(end))
    }

    /// Returns the number of jobs that were buried.
    #[must_use]
    pub fn died(&self) -> u64 {
        self.get(DIED)
    }

    /// Returns the run times.
    pub(crate) fn run(&self) -> Times<'_> {
        Times { sum_micros: self.get(RUN_MICROS), buckets: self.between(RUN), first: RUN }
    }

    /// Returns the waits.
    pub(crate) fn wait(&self) -> Times<'_> {
        let sum_micros = self.get(WAIT_MILLIS).saturating_mul(1_000);
        Times { sum_micros, buckets: self.between(WAIT), first: WAIT }
    }

    fn between(&self, first: u16) -> &[(u16, u64)] {
        let at = |index| self.counts.partition_point(|(one, _)| *one < index);
        &self.counts[at(first)..at(first + BUCKETS as u16)]
    }

    /// Returns the stored form.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(4 + 5 * self.counts.len());
        Form::Map.write_header(self.counts.len(), &mut out);
        for (index, count) in &self.counts {
            // Writing to a vector cannot fail.
            let _ = rmp_serde::encode::write(&mut out, index);
            let _ = rmp_serde::encode::write(&mut out, count);
        }
        out
    }

    /// Reads the stored form. A server writes a map whose keys are 1 to n as an array, and counts
    /// above 2^53 as floating-point numbers.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the bytes are no such map.
    pub fn decode(bytes: &[u8]) -> Result<Self, Error> {
        let mut reader = rmp_serde::Deserializer::from_read_ref(bytes);
        reader
            .deserialize_any(CountsVisitor)
            .map_err(|error| Error::codec(format!("the counts of a frame cannot be read: {error}")))
    }
}

/// Returns the index of the attempts that ended in this way.
fn index_of(end: AttemptEnd) -> u16 {
    match end {
        AttemptEnd::NotForUs => NOT_FOR_US,
        end => end as u16,
    }
}

/// Times by bucket, and their sum.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times<'a> {
    sum_micros: u64,
    buckets: &'a [(u16, u64)],
    first: u16,
}

impl Times<'_> {
    pub(crate) fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, (_, count)| sum.saturating_add(*count))
    }

    /// Returns the mean in microseconds; 0 without times.
    pub(crate) fn mean(&self) -> u64 {
        self.sum_micros.checked_div(self.count()).unwrap_or_default()
    }

    /// Returns the time in microseconds that `share`, in thousandths, of the times do not exceed, as
    /// the middle of its bucket; 0 without times. The last bucket has no middle and gives its start.
    pub(crate) fn quantile(&self, share: u64) -> u64 {
        let wanted = u128::from(self.count()) * u128::from(share.min(1_000));
        let mut seen = 0_u128;
        for (index, count) in self.buckets {
            seen += u128::from(*count) * 1_000;
            if seen >= wanted {
                return middle(usize::from(index - self.first));
            }
        }
        0
    }
}

fn middle(bucket: usize) -> u64 {
    let (start, end) = (bucket_start(bucket), bucket_end(bucket));
    if end == u64::MAX { start } else { start.midpoint(end) }
}

struct CountsVisitor;

impl<'de> Visitor<'de> for CountsVisitor {
    type Value = Counts;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a map from an index to a count")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Counts, A::Error> {
        let mut counts = Counts::default();
        for _ in 0..MAX_COUNTS {
            let Some((Count(index), Count(count))) = map.next_entry()? else { return Ok(counts) };
            counts.add_read(index, count);
        }
        while map.next_entry::<serde::de::IgnoredAny, serde::de::IgnoredAny>()?.is_some() {}
        Ok(counts)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Counts, A::Error> {
        let mut counts = Counts::default();
        let mut index = 0;
        while let Some(Count(count)) = seq.next_element()? {
            index += 1;
            counts.add_read(index, count);
        }
        Ok(counts)
    }
}

impl Counts {
    fn add_read(&mut self, index: u64, count: u64) {
        if let Ok(index) = u16::try_from(index)
            && usize::from(index) < MAX_COUNTS
        {
            self.add(index, count);
        }
    }
}

/// A number that a server's script has written: whole, also where it is stored as a floating-point
/// one.
struct Count(u64);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct CountVisitor;
        impl Visitor<'_> for CountVisitor {
            type Value = Count;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a count")
            }
            fn visit_u64<E>(self, number: u64) -> Result<Count, E> {
                Ok(Count(number))
            }
            fn visit_i64<E>(self, number: i64) -> Result<Count, E> {
                Ok(Count(u64::try_from(number).unwrap_or_default()))
            }
            fn visit_f64<E>(self, number: f64) -> Result<Count, E> {
                // The conversion saturates, and takes what is no number for 0.
                Ok(Count(number as u64))
            }
        }
        deserializer.deserialize_any(CountVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums() -> KindSums {
        let mut sums = KindSums::default();
        for micros in [10, 20, 1_000, 1_000_000] {
            sums.add_attempt(AttemptEnd::Done, Some(micros));
        }
        sums.add_attempt(AttemptEnd::NotForUs, None);
        sums.add_wait(7_000);
        sums.add_death();
        sums
    }

    #[test]
    fn counts_are_read_back_and_added() {
        let mut counts = Counts::of(&sums());
        assert_eq!(Counts::decode(&counts.encode()).unwrap(), counts);
        counts.merge(&Counts::of(&sums()));
        assert_eq!((counts.ended(AttemptEnd::Done), counts.ended(AttemptEnd::NotForUs)), (8, 2));
        assert_eq!((counts.died(), counts.run().count(), counts.wait().count()), (2, 8, 2));
        assert_eq!((counts.run().mean(), counts.wait().mean()), (250_257, 7_000));
        assert!(Counts::of(&KindSums::default()).is_empty());
    }

    #[test]
    fn a_quantile_is_the_middle_of_its_bucket() {
        let counts = Counts::of(&sums());
        let run = counts.run();
        let quantiles = [0, 250, 500, 750, 1_000].map(|share| run.quantile(share));
        assert_eq!(quantiles, [8, 8, 24, 960, 983_040]);
        assert_eq!(Counts::default().run().quantile(990), 0);
        let mut longest = KindSums::default();
        longest.add_wait(u64::MAX);
        assert_eq!(Counts::of(&longest).wait().quantile(500), 30_064_771_072);
    }

    #[test]
    fn what_a_server_writes_is_read() {
        // {1: 5, 2: 6} as an array, and a count as a floating-point number.
        let array = Counts::decode(b"\x92\x05\x06").unwrap();
        assert_eq!((array.ended(AttemptEnd::Failed), array.ended(AttemptEnd::Timeout)), (5, 6));
        let float = [&b"\x81\x00\xcb"[..], &1e17_f64.to_be_bytes()].concat();
        assert_eq!(Counts::decode(&float).unwrap().get(0), 100_000_000_000_000_000);
        let odd =
            [&b"\x83\x00\xcb"[..], &f64::NAN.to_be_bytes(), b"\x01\xff\xcd\xff\xff\x02"].concat();
        assert!(Counts::decode(&odd).unwrap().is_empty(), "NaN, -1, and an index beyond all");
    }

    proptest::proptest! {
        #[test]
        fn rubbish_is_an_error_or_bounded(bytes: Vec<u8>) {
            if let Ok(counts) = Counts::decode(&bytes) {
                proptest::prop_assert!(counts.counts.len() <= MAX_COUNTS);
            }
        }

        #[test]
        fn a_quantile_lies_within_an_eighth_of_the_time(micros in 64..30_000_000_000_u64) {
            let mut sums = KindSums::default();
            sums.add_attempt(AttemptEnd::Done, Some(micros));
            let counts = Counts::of(&sums);
            let found = counts.run().quantile(500);
            proptest::prop_assert!(found.abs_diff(micros) * 8 <= micros, "{found}");
        }
    }
}
