//! Decides how many jobs to claim beyond the free slots, while claims bring only jobs that no worker
//! here can run.

use poolder_core::mutation::mutated;

/// How many jobs to claim beyond the free slots. During a rolling deploy thousands of jobs of a new
/// kind may lie before the jobs that this node can run: with a claim per free slot, each round trip
/// would pass only a few of them.
#[derive(Debug, Default)]
pub(super) struct SkippedJobs {
    beyond: usize,
}

impl SkippedJobs {
    /// Returns how many jobs to claim when there is room for this many, at most `limit`.
    pub(super) fn wanted(&self, room: usize, limit: usize) -> usize {
        if room == 0 { 0 } else { (room + self.beyond).min(limit) }
    }

    /// Returns true when the last claim may have brought more jobs than there was room for.
    pub(super) fn went_beyond(&self) -> bool {
        self.beyond > 0
    }

    /// Notes what a claim has brought: how many jobs that can run here, and how many that cannot.
    pub(super) fn note(&mut self, known: usize, unknown: usize, limit: usize) {
        self.beyond = match known {
            0 if !mutated("skip-unknown") => {
                unknown.max(self.beyond * 2).min(limit * usize::from(unknown > 0))
            }
            _ => 0,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_grow_while_they_bring_only_unknown_jobs() {
        let mut skipped = SkippedJobs::default();
        let mut wanted = vec![];
        for _ in 0..9 {
            let claim = skipped.wanted(2, 250);
            wanted.push(claim);
            skipped.note(0, claim, 250);
        }
        assert_eq!(wanted, [2, 4, 6, 10, 18, 34, 66, 130, 250]);
        assert_eq!(skipped.wanted(0, 250), 0, "nothing is claimed without room");
        assert!(skipped.went_beyond());
    }

    #[test]
    fn a_known_job_or_an_empty_lane_ends_that() {
        for (known, unknown) in [(1, 9), (0, 0)] {
            let mut skipped = SkippedJobs::default();
            skipped.note(0, 5, 250);
            assert_eq!(skipped.wanted(1, 250), 6);
            skipped.note(known, unknown, 250);
            assert_eq!((skipped.wanted(1, 250), skipped.went_beyond()), (1, false));
        }
    }
}
