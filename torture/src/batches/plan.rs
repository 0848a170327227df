//! The faults of a run of batches: kills of pushers, nodes and the server, and lost commands.

use std::time::Duration;

use crate::plan::{Fault, Planned};
use crate::proxy::{Loss, Lost};
use crate::random::Random;

/// The commands and scripts whose loss is worth testing.
const OF_PUSHERS: &[&str] = &["push"];
const OF_NODES: &[&str] = &["push", "complete", "settle", "XREADGROUP", "promote"];

/// Draws a plan of `faults` faults, spread over `span`.
pub(crate) fn draw(seed: u64, faults: u64, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, 6);
    let step = u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / faults.max(1);
    let planned = |place: u64| {
        let at = Duration::from_millis(place * step + random.between(0, step / 2));
        let victim = random.next() >> 8;
        let mut millis = |low, high| Duration::from_millis(random.between(low, high));
        let fault = match place % 8 {
            0 | 4 => Fault::KillProducer { victim, away: millis(100, 2_000) },
            1 | 5 => Fault::Kill { victim, away: millis(100, 2_000) },
            2 => Fault::KillServer { away: millis(50, 1_000) },
            3 => Fault::Freeze { victim, lasting: millis(13_000, 16_000) },
            6 => lose(OF_PUSHERS, true, &mut random),
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
        let minutes = Duration::from_secs(180);
        let plan = draw(7, 32, minutes);
        assert_eq!((plan.len(), &plan), (32, &draw(7, 32, minutes)));
        assert_ne!(plan, draw(8, 32, minutes));
        for kind in ["SIGKILL of a node", "SIGKILL of a producer", "server killed", "reply lost"] {
            assert!(plan.iter().any(|planned| planned.fault.kind() == kind), "{kind}");
        }
        assert!(plan.is_sorted_by_key(|planned| planned.at));
    }
}
