//! Decides which lane to claim from next.

use std::time::Duration;

use poolder_core::Lane;
use poolder_core::broker::Depths;
use tokio::time::Instant;

/// One in this many claims tries the lanes in reverse order, so that `low` never starves.
const BOTTOM_UP: u64 = 16;

/// How long the depths of the lanes stay valid while a lane has jobs. A job that arrives in a
/// better lane meanwhile waits up to this much longer, behind jobs that take next to no time.
const DEPTHS_VALIDITY: Duration = Duration::from_millis(3);

/// The depths of the lanes, as far as they are known.
#[derive(Debug)]
pub(crate) struct Lanes {
    depths: Depths,
    /// Until when `depths` is valid; `None` when the server must be asked again, as after a claim
    /// that emptied a lane.
    fresh_until: Option<Instant>,
    last: Lane,
    picks: u64,
}

impl Default for Lanes {
    fn default() -> Self {
        Self { depths: [0; 5], fresh_until: None, last: Lane::Normal, picks: 0 }
    }
}

impl Lanes {
    /// Returns the lane to claim from: the best one that has jobs; `None` when all seem empty.
    pub(crate) fn pick(&mut self, suspects: bool) -> Option<Lane> {
        let usable =
            |lane: &Lane| self.depths[lane.index()] > 0 && (suspects || !lane.is_suspect());
        let found = if (self.picks + 1).is_multiple_of(BOTTOM_UP) {
            Lane::ALL.into_iter().rev().find(usable)
        } else {
            Lane::ALL.into_iter().find(usable)
        };
        if let Some(lane) = found {
            self.picks += 1;
            self.last = lane;
        }
        found
    }

    /// Returns the lane that had jobs last, to claim from when a round trip is made anyway. It is
    /// never the suspect lane.
    pub(crate) fn likely(&self) -> Lane {
        if self.last.is_suspect() { Lane::Normal } else { self.last }
    }

    /// Takes over the depths that the server reported before the claim.
    pub(crate) fn learn(&mut self, depths: Depths) {
        self.depths = depths;
        self.fresh_until = Some(Instant::now() + DEPTHS_VALIDITY);
    }

    /// Returns true when the server must be asked for the depths again.
    pub(crate) fn are_stale(&self) -> bool {
        self.fresh_until.is_none_or(|until| until <= Instant::now())
    }

    /// Notes that a claim of up to `wanted` jobs returned `got` jobs.
    pub(crate) fn claimed(&mut self, lane: Lane, wanted: usize, got: usize) {
        if got < wanted {
            self.fresh_until = None;
        }
        let depth = &mut self.depths[lane.index()];
        *depth = if got < wanted { 0 } else { depth.saturating_sub(got as u64).max(1) };
        if got > 0 {
            self.last = lane;
        }
    }

    /// Notes that a wait for a job of any lane has ended without one: so all lanes are empty.
    pub(crate) fn waited_in_vain(&mut self) {
        self.learn(Depths::default());
    }

    /// Returns true when jobs are known to wait. A full claim alone does not show it.
    pub(crate) fn have_jobs(&self) -> bool {
        self.depths.iter().any(|depth| *depth > 1)
    }

    /// Notes that jobs came from this lane, so that it may have more.
    pub(crate) fn note_jobs(&mut self, lane: Lane) {
        self.depths[lane.index()] = self.depths[lane.index()].max(1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_lane_is_served_first_and_the_worst_once_in_sixteen() {
        let mut lanes = Lanes::default();
        assert_eq!(lanes.pick(true), None);
        let mut served = [0; 5];
        for _ in 0..160 {
            lanes.learn([0, 0, 5, 5, 5]);
            if let Some(lane) = lanes.pick(true) {
                served[lane.index()] += 1;
            }
        }
        assert_eq!(served, [0, 0, 150, 0, 10]);
    }

    #[test]
    fn suspects_wait_while_one_runs() {
        let mut lanes = Lanes::default();
        lanes.learn([0, 3, 0, 0, 0]);
        assert_eq!((lanes.pick(false), lanes.pick(true)), (None, Some(Lane::Suspect)));
        assert_eq!(lanes.likely(), Lane::Normal, "suspects are never claimed without known depths");
    }

    #[test]
    fn a_short_claim_empties_the_lane_and_a_full_one_may_have_left_some() {
        let mut lanes = Lanes::default();
        lanes.learn([0, 0, 0, 10, 0]);
        lanes.claimed(Lane::Normal, 10, 10);
        assert_eq!(lanes.pick(true), Some(Lane::Normal));
        assert!(!lanes.are_stale(), "the lane may have more jobs");
        lanes.claimed(Lane::Normal, 10, 3);
        assert_eq!(lanes.pick(true), None);
        assert!(lanes.are_stale(), "the depths of the other lanes must be read");
        lanes.waited_in_vain();
        assert!(!lanes.are_stale() && lanes.pick(true).is_none());
    }
}
