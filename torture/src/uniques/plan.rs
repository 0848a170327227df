//! The faults of a run of unique jobs: those of any run, and lost calls of their own scripts.

use std::time::Duration;

use crate::plan::{self, Fault, Planned, Profile};
use crate::proxy::{Loss, Lost};
use crate::random::Random;

/// The scripts whose loss is worth testing beside those of every plan: a key is taken, freed at a
/// start, and freed or handed on at an end.
const OF_NODES: &[&str] = &["start", "settle", "promote"];
/// One lost call comes on this many other faults.
const SHARE: u64 = 4;

/// Draws a plan of `faults` faults, spread over `span`.
pub(crate) fn draw(profile: Profile, seed: u64, faults: u64, span: Duration) -> Vec<Planned> {
    let lost = if profile == Profile::Standalone { faults / SHARE } else { 0 };
    let mut plan = plan::draw(profile, seed, faults - lost, span);
    let mut random = Random::new(seed, 9);
    let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    plan.extend((0..lost).map(|_| {
        let of_producer = random.percent(35);
        let loss = Loss {
            command: if of_producer { "enqueue" } else { random.pick(OF_NODES) },
            after: u32::try_from(random.between(0, 5)).unwrap_or(0),
            what: if random.percent(75) { Lost::Reply } else { Lost::Request },
            cut: random.percent(60),
        };
        let at = Duration::from_millis(random.between(0, millis));
        Planned { at, fault: Fault::Lose { victim: 0, of_producer, loss } }
    }));
    plan.sort_by_key(|planned| planned.at);
    plan
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_seed_decides_and_the_number_is_as_asked() {
        let span = Duration::from_secs(60);
        let plan = draw(Profile::Standalone, 7, 40, span);
        assert_eq!((plan.len(), &plan), (40, &draw(Profile::Standalone, 7, 40, span)));
        assert_ne!(plan, draw(Profile::Standalone, 8, 40, span));
        for kind in ["SIGKILL of a node", "SIGSTOP past the lease", "server killed", "reply lost"] {
            assert!(plan.iter().any(|planned| planned.fault.kind() == kind), "{kind}");
        }
        let lost = draw(Profile::Sentinel, 7, 40, span);
        assert!(lost.len() == 40 && lost.iter().all(|one| one.fault.kind() != "reply lost"));
    }
}
