//! The faults of a run of limits: kills and pauses of nodes, kills of feeders; of one server kills, lost
//! commands and full memory, behind Sentinels failovers, in a cluster moves of the slot.

use std::time::Duration;

use crate::plan::{Fault, Planned, Profile};
use crate::proxy::{Loss, Lost};
use crate::random::Random;
use crate::reshard::{LIMITED, ROSTER, Upheaval};
use crate::servers::FailOver;

/// The commands and scripts whose loss is worth testing.
const OF_FEEDERS: &[&str] = &["put", "XADD"];
const OF_NODES: &[&str] = &["claim", "complete", "settle", "sort", "promote"];

/// Draws a plan of `faults` faults, spread over `span`.
pub(crate) fn draw(profile: Profile, seed: u64, faults: u64, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, 9);
    let step = u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / faults.max(1);
    let planned = |place: u64| {
        let at = Duration::from_millis(place * step + random.between(0, step / 2));
        let fault = match (place % 10, profile) {
            (2 | 6 | 7 | 9, Profile::Sentinel) => {
                let ways = [FailOver::Ordered, FailOver::Killed, FailOver::Paused];
                Fault::FailOver(random.pick(&ways))
            }
            (2 | 3 | 5..=7 | 9, Profile::Cluster) => {
                let which = if random.percent(85) { LIMITED } else { ROSTER };
                Fault::Cluster(Upheaval::Move { which, to: random.between(0, 1) })
            }
            (2, _) => Fault::KillServer { away: Duration::from_millis(random.between(50, 1_000)) },
            (6, _) => lose(OF_FEEDERS, true, &mut random),
            (7, _) => Fault::Exhaust { lasting: Duration::from_millis(random.between(500, 2_000)) },
            (9, _) => lose(OF_NODES, false, &mut random),
            (place, _) => of_process(place, &mut random),
        };
        Planned { at, fault }
    };
    (0..faults).map(planned).collect()
}

/// Returns a fault of a node or a feeder.
fn of_process(place: u64, random: &mut Random) -> Fault {
    let victim = random.next() >> 8;
    let mut millis = |low, high| Duration::from_millis(random.between(low, high));
    match place {
        1 => Fault::KillProducer { victim, away: millis(100, 2_000) },
        3 => Fault::Freeze { victim, lasting: millis(13_000, 16_000) },
        5 => Fault::Term { victim, away: millis(100, 2_000) },
        _ => Fault::Kill { victim, away: millis(100, 2_000) },
    }
}

fn lose(commands: &[&'static str], of_producer: bool, random: &mut Random) -> Fault {
    let loss = Loss {
        command: random.pick(commands),
        after: u32::try_from(random.between(0, 3)).unwrap_or(0),
        what: if random.percent(75) { Lost::Reply } else { Lost::Request },
        cut: random.percent(60),
    };
    Fault::Lose { victim: 0, of_producer, loss }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_every_kind_is_there() {
        let minute = Duration::from_secs(60);
        let drawn = |profile, seed| draw(profile, seed, 20, minute);
        let plan = drawn(Profile::Standalone, 7);
        assert_eq!((plan.len(), &plan), (20, &drawn(Profile::Standalone, 7)));
        assert_ne!(plan, drawn(Profile::Standalone, 8));
        for (profile, kind) in [
            (Profile::Standalone, "SIGKILL of a node"),
            (Profile::Standalone, "SIGKILL of a producer"),
            (Profile::Standalone, "server killed"),
            (Profile::Standalone, "memory exhausted"),
            (Profile::Sentinel, "SIGSTOP past the lease"),
            (Profile::Sentinel, "failover by order"),
            (Profile::Cluster, "SIGKILL of a node"),
            (Profile::Cluster, "slot moved"),
        ] {
            let plan = drawn(profile, 7);
            assert!(plan.iter().any(|planned| planned.fault.kind() == kind), "{kind}");
            assert!(plan.is_sorted_by_key(|planned| planned.at));
        }
    }
}
