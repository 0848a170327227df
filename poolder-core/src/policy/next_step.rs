//! The next step of a job whose claim has ended, in words for people.

use std::fmt;
use std::time::Duration;

use super::decide::{EXPIRED, Return, Transition, Wait};
use crate::job::Failure;

impl Transition {
    /// Returns the failure of the attempt that led here; `None` when none failed.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::RunAgain(counters)
            | Self::Later { counters, why: Wait::Retry, .. }
            | Self::Bury { counters } => counters.last_failure.as_ref(),
            _ => None,
        }
    }

    /// Returns the end of the attempt in one word: `done`, `failed`, `snoozed`, `limited`,
    /// `cancelled`, `expired`, `released`, or `unknown_kind` for a job that no worker of the node can
    /// run.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        match self {
            Self::Complete | Self::CompleteWith(_) => "done",
            Self::RunAgain(_) | Self::Later { why: Wait::Retry, .. } | Self::Bury { .. } => {
                "failed"
            }
            Self::Later { why: Wait::Snooze, .. } => "snoozed",
            Self::Later { why: Wait::HoldGroup | Wait::HoldQueue, .. } => "limited",
            Self::Later { why: Wait::UnknownKind, .. } => "unknown_kind",
            Self::Ready { .. } => "released",
            Self::Cancel(_) => "cancelled",
            Self::Expire => "expired",
        }
    }
}

impl fmt::Display for Transition {
    /// Writes what comes next: `done`, `again in 16 s`, `again at once`, `dead: …`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Complete => f.write_str("done"),
            Self::CompleteWith(result) => write!(f, "done, a result of {} bytes", result.len()),
            Self::RunAgain(_) => f.write_str("again at once"),
            Self::Later { delay, .. } if delay.is_zero() => f.write_str("again at once"),
            Self::Later { delay, .. } => write!(f, "again in {}", Words(*delay)),
            Self::Ready { why: Return::Release, .. } => f.write_str("again in another slot"),
            Self::Ready { why: Return::Rescue, .. } => f.write_str("again, it was rescued"),
            Self::Bury { counters } => match &counters.last_failure {
                Some(failure) => write!(f, "dead: {failure}"),
                None => f.write_str("dead"),
            },
            Self::Cancel(reason) => write!(f, "cancelled: {reason}"),
            Self::Expire => write!(f, "cancelled: {EXPIRED}"),
        }
    }
}

/// A duration with its two largest units: `350 ms`, `16 s`, `4 min 40 s`, `2 h 5 min`, `3 d 4 h`.
struct Words(Duration);

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = self.0.as_millis();
        if millis < 1_000 {
            return write!(f, "{} ms", millis.max(1));
        }
        let seconds = (millis + 500) / 1_000;
        let (large, unit, small, rest) = match seconds {
            0..60 => return write!(f, "{seconds} s"),
            60..3_600 => (seconds / 60, "min", seconds % 60, "s"),
            3_600..86_400 => (seconds / 3_600, "h", seconds % 3_600 / 60, "min"),
            _ => (seconds / 86_400, "d", seconds % 86_400 / 3_600, "h"),
        };
        write!(f, "{large} {unit}")?;
        if small > 0 {
            write!(f, " {small} {rest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Cause, Lane};
    use crate::policy::{Counters, Facts};

    #[test]
    fn a_duration_has_its_two_largest_units() {
        let shown = |millis| Words(Duration::from_millis(millis)).to_string();
        let cases = [
            (0, "1 ms"),
            (350, "350 ms"),
            (16_400, "16 s"),
            (59_600, "1 min"),
            (280_000, "4 min 40 s"),
            (7_500_000, "2 h 5 min"),
            (273_600_000, "3 d 4 h"),
        ];
        for (millis, text) in cases {
            assert_eq!(shown(millis), text);
        }
        assert!(Words(Duration::MAX).to_string().contains(" d "));
    }

    #[test]
    fn each_transition_says_what_comes_next() {
        let facts = Facts::at(crate::job::Timestamp::from_millis(1));
        let failed =
            Counters::starting_in(Lane::Normal).failed(Failure::new(Cause::Error, "451"), facts);
        let later = |why| {
            let (delay, counters) = (Duration::from_secs(16), failed.clone());
            Transition::Later { delay, counters, why }
        };
        let release =
            Transition::Ready { lane: Lane::Front, counters: failed.clone(), why: Return::Release };
        let cases = [
            (Transition::Complete, "done", "done", false),
            (Transition::CompleteWith(vec![0; 3]), "done", "done, a result of 3 bytes", false),
            (Transition::RunAgain(failed.clone()), "failed", "again at once", true),
            (later(Wait::Retry), "failed", "again in 16 s", true),
            (later(Wait::Snooze), "snoozed", "again in 16 s", false),
            (later(Wait::HoldGroup), "limited", "again in 16 s", false),
            (later(Wait::HoldQueue), "limited", "again in 16 s", false),
            (later(Wait::UnknownKind), "unknown_kind", "again in 16 s", false),
            (release, "released", "again in another slot", false),
            (Transition::Bury { counters: failed.clone() }, "failed", "dead: error: 451", true),
            (Transition::Cancel("why".into()), "cancelled", "cancelled: why", false),
            (Transition::Expire, "expired", "cancelled: expired: it did not start in time", false),
        ];
        for (transition, outcome, next, has_failed) in cases {
            assert_eq!((transition.outcome(), transition.to_string().as_str()), (outcome, next));
            assert_eq!(transition.failure().is_some(), has_failed, "{next}");
        }
    }
}
