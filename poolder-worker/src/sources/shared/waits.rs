//! How long claimed jobs have waited in their lanes. Only the entry ids of the first and the last job
//! of a claim are read: the jobs between them lie about evenly between both times.

use poolder_core::{Claim, Timestamp};

/// Returns how long each of these jobs has waited, in microseconds. Jobs of one lane that were
/// claimed together stand one after another, the oldest first.
pub(super) fn waits(jobs: &[Claim], now: Timestamp) -> Vec<u64> {
    let mut waits = Vec::with_capacity(jobs.len());
    for lane in jobs.chunk_by(|one, next| one.lane == next.lane) {
        let waited = |claim: Option<&Claim>| {
            let ready = claim.and_then(|claim| claim.times().ready_at());
            let waited = ready.map(|ready| now.since(ready).as_micros()).unwrap_or_default();
            u64::try_from(waited).unwrap_or(u64::MAX)
        };
        waits.extend(between(waited(lane.first()), waited(lane.last()), lane.len()));
    }
    waits
}

/// Returns `count` numbers from the first to the last one, with equal steps.
fn between(first: u64, last: u64, count: usize) -> impl Iterator<Item = u64> {
    let steps = (count as u64).saturating_sub(1).max(1);
    let (low, step) = (first.min(last), first.abs_diff(last) / steps);
    let rising = first <= last;
    (0..count as u64).map(move |at| low + step * if rising { at } else { steps - at.min(steps) })
}

#[cfg(test)]
mod tests {
    use poolder_core::{Counters, Envelope, Format, JobId, Lane};

    use super::*;

    fn claim(lane: Lane, entry: &str) -> Claim {
        let id = JobId::generate();
        let envelope = Envelope::build(id, "k", 1, None, Format::MessagePack, |_| Ok(())).unwrap();
        Claim::new(lane, entry.into(), envelope, Counters::starting_in(Lane::Normal))
    }

    #[test]
    fn the_waits_between_the_oldest_and_the_newest_job_of_a_lane_are_even() {
        let now = Timestamp::from_millis(1_000);
        let jobs = [
            claim(Lane::High, "990-0"),
            claim(Lane::Normal, "400-0"),
            claim(Lane::Normal, "401-0"),
            claim(Lane::Normal, "800-7"),
        ];
        assert_eq!(waits(&jobs, now), [10_000, 600_000, 400_000, 200_000]);
        assert!(waits(&[], now).is_empty());
    }

    #[test]
    fn an_entry_of_the_future_and_one_without_a_time_have_not_waited() {
        let now = Timestamp::from_millis(1_000);
        let jobs = [claim(Lane::Low, "9999-0"), claim(Lane::Front, "no time")];
        assert_eq!(waits(&jobs, now), [0, 0]);
        assert_eq!(between(0, u64::MAX, 3).collect::<Vec<_>>(), [0, u64::MAX / 2, u64::MAX - 1]);
    }
}
