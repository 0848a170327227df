//! Waits of callers for the end of a job: the intervals of their looks at the job, and the reads of
//! each look. A hint makes a caller look at once; since hints may be lost, it also looks by itself. The looks of all callers of a client are
//! due at common instants, so that the commands of many of them go out as one pipeline.

use std::time::Duration;

use poolder_core::broker::Broker;
use poolder_core::policy::Pauses;
use poolder_core::{Completion, Error, Handle, Partition};
use tokio::time::Instant;

use super::waiters::{Ends, Waiter, Waiters};

/// The interval between the looks of a caller who may get no hint.
const INTERVAL: Duration = Duration::from_secs(1);
/// The longest interval between the looks of a caller who gets a hint, unless the hint is lost.
const LONGEST_INTERVAL: Duration = Duration::from_secs(10);
/// The interval of such a caller, as the divisor of the time waited.
const SHARE: u32 = 4;
/// The first interval without hints; each further one is twice as long, up to [`INTERVAL`].
const FIRST_INTERVAL: Duration = Duration::from_millis(20);
/// Looks after [`INTERVAL`] or longer are due at multiples of this time.
const GRID: Duration = Duration::from_millis(250);
/// The time before the end of a wait at which a caller looks once more.
const LAST_LOOK: Duration = Duration::from_millis(500);
/// How often a caller reads the dead whose job leaves a completion record at each end: the burial
/// of an entry that cannot be read leaves none.
const DEAD_INTERVAL: Duration = Duration::from_secs(30);

/// The looks of one caller.
#[derive(Debug)]
struct Looks {
    ends: Ends,
    started: Instant,
    deadline: Option<Instant>,
    /// The share of a quarter of each interval by which the caller looks earlier, of 255: clients
    /// that began to wait together look at different times.
    jitter: u8,
    without_hints: Pauses,
    dead_read: Option<Instant>,
    /// False when the user has no right to read the dead.
    may_read_dead: bool,
}

impl Looks {
    fn new(ends: Ends, jitter: u8, started: Instant, deadline: Option<Instant>) -> Self {
        let without_hints = Pauses::new(FIRST_INTERVAL, INTERVAL);
        let dead_read = (ends == Ends::AreRecorded).then_some(started);
        Self { ends, started, deadline, jitter, without_hints, dead_read, may_read_dead: true }
    }

    /// Returns the time until the next look. `grid` is the time since an instant that all callers
    /// of the client know.
    fn pause(&mut self, now: Instant, hinted: bool, grid: Duration) -> Duration {
        let interval = match (hinted, self.ends) {
            (false, _) => self.without_hints.after_failure(),
            (true, Ends::MayBeSilent) => INTERVAL,
            (true, Ends::AreRecorded) => {
                let interval = ((now - self.started) / SHARE).clamp(INTERVAL, LONGEST_INTERVAL);
                interval - interval / 4 * u32::from(self.jitter) / 255
            }
        };
        let left = self.deadline.map(|deadline| deadline.saturating_duration_since(now));
        let before_last = left.and_then(|left| left.checked_sub(LAST_LOOK)).unwrap_or_default();
        if !before_last.is_zero() && before_last < interval {
            return before_last;
        }
        if interval < INTERVAL - INTERVAL / 4 { interval } else { on_grid(grid + interval) - grid }
    }

    /// Returns whether the next look reads the dead.
    fn reads_dead(&mut self, now: Instant) -> bool {
        let is_last = self.deadline.is_some_and(|deadline| deadline < now + LAST_LOOK * 2);
        let is_due = self.dead_read.is_none_or(|read| now - read >= DEAD_INTERVAL);
        let reads = self.may_read_dead && (is_due || is_last);
        if reads && self.ends == Ends::AreRecorded {
            self.dead_read = Some(now);
        }
        reads
    }
}

/// Rounds a time up to the next multiple of [`GRID`], which divides a second.
fn on_grid(time: Duration) -> Duration {
    match time.subsec_nanos() % GRID.subsec_nanos() {
        0 => time,
        over => time + GRID - Duration::from_nanos(over.into()),
    }
}

impl Waiter {
    /// Waits until the job has ended. `deadline` is the time at which the caller stops waiting.
    pub(crate) async fn completion(
        mut self,
        handle: &Handle,
        deadline: Option<Instant>,
    ) -> Result<Completion, Error> {
        let jitter = handle.job.as_bytes()[15];
        let mut looks = Looks::new(self.ends, jitter, Instant::now(), deadline);
        loop {
            let wait = std::sync::Arc::clone(&self.wait);
            let ended = wait.ended.notified();
            tokio::pin!(ended);
            // Hints that arrive from here on are not missed, so the record is read only afterwards.
            ended.as_mut().enable();
            let mut answered = true;
            match self.look(handle, &mut looks).await {
                Ok(Look::Ended(completion)) => return Ok(completion),
                // The job was moved to another slot of its pool, and its hint is published there.
                Ok(Look::Moved(slot)) => {
                    self = self.all.enter(&slot, self.job.1, self.ends);
                    continue;
                }
                Ok(Look::NotEnded) => {}
                Err(error) if error.is_refused() || error.is_unknown() => {
                    tracing::debug!(%error, job = %handle.job, "the server does not answer yet");
                    answered = false;
                }
                Err(error) => return Err(error.with_job(handle.job)),
            }
            let now = Instant::now();
            let hinted = answered && wait.is_hinted();
            let pause = looks.pause(now, hinted, now - self.all.created);
            tokio::select! {
                () = &mut ended => {}
                () = tokio::time::sleep_until(now + pause) => {}
            }
        }
    }

    /// Looks for the end of the job, in its completion record and among the dead jobs.
    async fn look(&self, handle: &Handle, looks: &mut Looks) -> Result<Look, Error> {
        let Waiters { broker, .. } = &*self.all;
        let (at, job) = (&self.job.0, self.job.1);
        let (slot, record) = broker.followed_completion(at, job).await?;
        if record.is_none() && slot != *at {
            return Ok(Look::Moved(slot));
        }
        if record.is_none() && !looks.reads_dead(Instant::now()) {
            return Ok(Look::NotEnded);
        }
        let here = Handle { partition: slot, ..handle.clone() };
        let ended = end_of(broker, &here, record, &mut looks.may_read_dead).await?;
        Ok(ended.map_or(Look::NotEnded, Look::Ended))
    }
}

/// Returns how a job ended, from its completion record, which was read before, or from the dead
/// jobs; `None` when it has not ended. A user whose access rules forbid to read the dead jobs sees
/// the record only, and `may_read_dead` becomes false. A record of an id that is derived from a name
/// may be that of an earlier job, which ended while this one waits.
pub(crate) async fn end_of(
    broker: &Broker,
    handle: &Handle,
    record: Option<Completion>,
    may_read_dead: &mut bool,
) -> Result<Option<Completion>, Error> {
    let ended = match record {
        Some(completion) => Some(completion),
        None => match broker.death(&handle.partition, handle.job).await {
            Err(error) if error.is_auth() => {
                *may_read_dead = false;
                None
            }
            death => death?,
        },
    };
    let may_be_older = ended.is_some() && handle.job.generated_at().is_none();
    if may_be_older && broker.is_at_place(handle).await? {
        return Ok(None);
    }
    Ok(ended)
}

/// The result of a look at a job.
enum Look {
    Ended(Completion),
    NotEnded,
    /// The job was moved to this slot.
    Moved(Partition),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the seconds at which a hinted caller looks within `seconds`, and those at which it
    /// reads the dead.
    fn looks(ends: Ends, jitter: u8, seconds: u64, timeout: Option<u64>) -> (Vec<f64>, Vec<f64>) {
        let start = Instant::now();
        let deadline = timeout.map(|seconds| start + Duration::from_secs(seconds));
        let mut looks = Looks::new(ends, jitter, start, deadline);
        let (mut all, mut dead, mut since) = (vec![], vec![], Duration::ZERO);
        while since < Duration::from_secs(seconds) {
            all.push(since.as_secs_f64());
            if looks.reads_dead(start + since) {
                dead.push(since.as_secs_f64());
            }
            since += looks.pause(start + since, true, since);
        }
        (all, dead)
    }

    #[test]
    fn a_caller_with_a_hint_looks_less_and_less_often() {
        let (all, dead) = looks(Ends::AreRecorded, 0, 100, None);
        let pauses: Vec<f64> = all.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert_eq!(pauses[..6], [1.0, 1.0, 1.0, 1.0, 1.0, 1.25]);
        assert!(pauses.is_sorted() && pauses.last() == Some(&10.0), "{pauses:?}");
        for (at, pause) in all.iter().zip(&pauses) {
            assert!(*pause <= (at / 4.0 + 0.25).max(1.0), "{pause} s after {at} s");
        }
        assert_eq!((all.len(), dead.len()), (21, 3), "{all:?} {dead:?}");
    }

    #[test]
    fn the_looks_of_many_callers_are_due_together_and_those_of_clients_apart() {
        let pauses = |grid, jitter| {
            let start = Instant::now();
            let mut looks = Looks::new(Ends::AreRecorded, jitter, start, None);
            let grid = Duration::from_millis(grid);
            (looks.pause(start + Duration::from_secs(60), true, grid) + grid).as_millis()
        };
        let due: std::collections::BTreeSet<_> = (0..250).map(|at| pauses(at, 7)).collect();
        assert!(due.len() <= 2 && due.iter().all(|at| at % 250 == 0), "{due:?}");
        let jittered: std::collections::BTreeSet<_> = (0..=255).map(|j| pauses(0, j)).collect();
        assert_eq!((jittered.first(), jittered.last()), (Some(&7500), Some(&10_000)));
    }

    #[test]
    fn a_caller_that_may_get_no_hint_looks_each_second_and_reads_the_dead() {
        let (all, dead) = looks(Ends::MayBeSilent, 255, 60, None);
        assert_eq!((all.len(), all), (60, dead));
    }

    #[test]
    fn without_hints_a_caller_looks_each_second_however_long_it_has_waited() {
        let start = Instant::now();
        let mut looks = Looks::new(Ends::AreRecorded, 0, start, None);
        let now = start + Duration::from_secs(3600);
        let pauses: Vec<_> =
            (0..8).map(|_| looks.pause(now, false, Duration::ZERO).as_millis()).collect();
        assert_eq!(pauses, [20, 40, 80, 160, 320, 640, 1000, 1000]);
    }

    #[test]
    fn a_caller_looks_once_more_before_its_time_is_up_and_reads_the_dead() {
        for timeout in [1, 3, 20, 60] {
            let (all, dead) = looks(Ends::AreRecorded, 9, timeout, Some(timeout));
            assert_eq!(all.last(), Some(&(timeout as f64 - 0.5)), "{all:?}");
            assert_eq!(dead.last(), all.last());
        }
        // The hints of a caller with less time come, or the time is up.
        let now = Instant::now();
        let mut looks = Looks::new(Ends::AreRecorded, 0, now, Some(now));
        assert!(looks.pause(now, true, Duration::ZERO) > Duration::ZERO);
    }

    #[test]
    fn a_user_who_may_not_read_the_dead_asks_for_them_once() {
        let now = Instant::now();
        let mut looks = Looks::new(Ends::MayBeSilent, 0, now, None);
        assert!(looks.reads_dead(now));
        looks.may_read_dead = false;
        assert!(!looks.reads_dead(now));
    }
}
