//! The clock of the test's queue, and everything that its advance makes due: jobs, batches whose
//! time is over, ticks of schedules.

use std::time::Duration;

use super::state::{Captured, JobNumber, JobPlace, State};
use crate::job::{QueueName, Timestamp};

/// The most moments at which something is due in one advance.
const MAX_MOMENTS: usize = 20_000;

impl Captured {
    /// Moves the clock forward, from one moment at which something is due to the next.
    ///
    /// # Panics
    /// Panics when more than 20,000 moments are on the way.
    pub fn advance(&self, by: Duration) {
        let until = self.now() + by;
        self.advance_to(until);
    }

    /// Moves the clock forward to this time; a time that has passed changes nothing.
    ///
    /// # Panics
    /// As [`Captured::advance`].
    pub fn advance_to(&self, until: Timestamp) {
        let mut state = self.state();
        for _ in 0..MAX_MOMENTS {
            let next = state.next_moment().filter(|next| *next <= until);
            let Some(next) = next else {
                state.now = state.now.max(until);
                return;
            };
            state.now = state.now.max(next);
            state.promote();
            state.seal_old();
            #[cfg(feature = "schedules")]
            state.tick();
        }
        drop(state);
        panic!(
            "the clock of the test passes more than {MAX_MOMENTS} moments at which something is \
             due: advance it in smaller steps"
        );
    }

    /// Returns when the next job of these queues, or the next open batch, is due. Jobs for which
    /// `wanted` is false are left out, and so are ticks.
    #[must_use]
    pub fn next_due(
        &self,
        queues: &[QueueName],
        wanted: impl Fn(JobNumber) -> bool,
    ) -> Option<Timestamp> {
        let state = self.state();
        let served = |number: &JobNumber| {
            wanted(*number) && queues.contains(&state.jobs[number].partition.queue)
        };
        let job = state.due.iter().find(|(.., number)| served(number)).map(|(due, ..)| *due);
        let batch = state.batchers.next_due(|queue| queues.contains(queue));
        job.into_iter().chain(batch).min()
    }
}

impl State {
    fn next_moment(&self) -> Option<Timestamp> {
        let job = self.due.first().map(|(due, ..)| *due);
        let batch = self.batchers.next_due(|_| true);
        #[cfg(feature = "schedules")]
        let tick = self.schedules.next();
        #[cfg(not(feature = "schedules"))]
        let tick = None;
        job.into_iter().chain(batch).chain(tick).min()
    }

    /// Moves the jobs that are due to their lanes.
    fn promote(&mut self) {
        while let Some((due, _, number)) = self.due.first().copied() {
            if due > self.now {
                return;
            }
            self.take_from_place(number);
            self.put(number, JobPlace::Ready);
        }
    }
}
