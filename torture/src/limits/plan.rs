//! The faults of a run of limits: kills and pauses of nodes, kills of feeders and of the server, lost
//! commands, a full server.

use std::time::Duration;

use crate::plan::{Fault, Planned};
use crate::proxy::{Loss, Lost};
use crate::random::Random;

/// The commands and scripts whose loss is worth testing.
const OF_FEEDERS: &[&str] = &["put", "XADD"];
const OF_NODES: &[&str] = &["claim", "complete", "settle", "sort", "promote"];

/// Draws a plan of `faults` faults, spread over `span`.
pub(crate) fn draw(seed: u64, faults: u64, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, 9);
    let step = u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / faults.max(1);
    let planned = |place: u64| {
        let at = Duration::from_millis(place * step + random.between(0, step / 2));
        let victim = random.next() >> 8;
        let mut millis = |low, high| Duration::from_millis(random.between(low, high));
        let fault = match place % 10 {
            0 | 4 | 8 => Fault::Kill { victim, away: millis(100, 2_000) },
            1 => Fault::KillProducer { victim, away: millis(100, 2_000) },
            2 => Fault::KillServer { away: millis(50, 1_000) },
            3 => Fault::Freeze { victim, lasting: millis(13_000, 16_000) },
            5 => Fault::Term { victim, away: millis(100, 2_000) },
            6 => lose(OF_FEEDERS, true, &mut random),
            7 => Fault::Exhaust { lasting: millis(500, 2_000) },
            _ => lose(OF_NODES, false, &mut random),
        };
        Planned { at, fault }
    };
    (0..faults).map(planned).collect()
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
        let plan = draw(7, 20, minute);
        assert_eq!((plan.len(), &plan), (20, &draw(7, 20, minute)));
        assert_ne!(plan, draw(8, 20, minute));
        for kind in ["SIGKILL of a node", "SIGKILL of a producer", "server killed"] {
            assert!(plan.iter().any(|planned| planned.fault.kind() == kind), "{kind}");
        }
        assert!(plan.is_sorted_by_key(|planned| planned.at));
    }
}
