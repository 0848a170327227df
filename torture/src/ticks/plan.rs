//! The faults of a run of ticks. They hit the leader one after the other, each with time to
//! recover.

use std::time::Duration;

use crate::plan::{Fault, Planned};
use crate::proxy::{Loss, Lost};
use crate::random::Random;

/// The time without faults at the beginning, which shows the normal lateness.
const QUIET: Duration = Duration::from_secs(90);
/// The time between two faults, in ms: the longest fault, and the time until another node leads.
const BETWEEN_FAULTS: u64 = 24_000;

/// Draws a plan of the faults that fit into `span`.
pub(crate) fn draw(seed: u64, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, 5);
    let (mut plan, mut at, mut owed, mut place) = (vec![], QUIET, 0, 0_usize);
    while at + Duration::from_millis(BETWEEN_FAULTS) < span {
        let mut millis = |low, high| Duration::from_millis(random.between(low, high));
        let victim = 0;
        let fault = match place % 7 {
            0 => Fault::Kill { victim, away: millis(100, 2_000) },
            1 => Fault::Freeze { victim, lasting: millis(16_000, 20_000) },
            2 => Fault::KillServer { away: millis(100, 1_500) },
            // A tick request that was sent long ago arrives after another leader has continued.
            3 => {
                let loss = Loss { command: "tick", after: 0, what: Lost::Time, cut: true };
                Fault::Lose { victim, of_producer: false, loss }
            }
            4 => Fault::Kill { victim, away: millis(100, 2_000) },
            // Every second jump takes back the one before it, so that their sum is 0.
            5 => {
                let jump = i64::try_from(random.between(2_000, 20_000)).unwrap_or(0);
                let jump = if owed == 0 { jump } else { -owed };
                owed = if owed == 0 { jump } else { 0 };
                Fault::Jump { millis: jump }
            }
            _ => Fault::Term { victim, away: millis(0, 1_000) },
        };
        plan.push(Planned { at, fault });
        at +=
            Duration::from_millis(BETWEEN_FAULTS) + Duration::from_millis(random.between(0, 2_000));
        place += 1;
    }
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_minutes_hold_every_kind_and_the_seed_decides() {
        let minutes = Duration::from_secs(600);
        let plan = draw(7, minutes);
        assert_eq!(plan, draw(7, minutes));
        assert_ne!(plan, draw(8, minutes));
        let kinds: std::collections::BTreeMap<&str, usize> =
            plan.iter().fold(Default::default(), |mut kinds, planned| {
                *kinds.entry(planned.fault.kind()).or_default() += 1;
                kinds
            });
        assert!(kinds["SIGKILL of a node"] >= 5, "{kinds:?}");
        assert!(kinds["SIGSTOP past the lease"] >= 3, "{kinds:?}");
        assert!(kinds.len() == 6, "{kinds:?}");
    }
}
