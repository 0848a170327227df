//! The seven states of a job and the transitions between them.

use std::fmt;

use crate::job::serialize_as_text;

/// The state of a job, as an operator sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum JobState {
    /// The job waits until it is due.
    Scheduled,
    /// The job waits for a free slot.
    Ready,
    /// A slot has claimed the job.
    Running,
    /// The job is done. Only the queue's counters are kept, and the result or the completion record
    /// where there is one.
    Completed,
    /// An attempt failed; the job waits for the next.
    Retrying,
    /// The job has used up its attempts, was halted, or has crashed too many nodes. It is kept for
    /// an operator.
    Dead,
    /// The job was cancelled, by a request or by its handler.
    Cancelled,
}

impl JobState {
    /// All states.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Completed,
        Self::Retrying,
        Self::Dead,
        Self::Cancelled,
    ];

    /// Returns the states that may follow this one.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        use JobState::{Cancelled, Completed, Dead, Ready, Retrying, Running, Scheduled};
        match self {
            Scheduled | Retrying => &[Ready, Cancelled],
            Ready => &[Running, Cancelled],
            // A snooze leads back to Scheduled, a rescue or a release to Ready.
            Running => &[Completed, Retrying, Scheduled, Ready, Dead, Cancelled],
            Dead => &[Ready],
            Completed | Cancelled => &[],
        }
    }

    /// Returns true when no state follows without an operator.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }

    /// Returns the name of the state.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Scheduled => "scheduled",
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Completed => "completed",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }
}

serialize_as_text! { JobState }

impl fmt::Display for JobState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::JobState;

    #[test]
    fn only_an_operator_leads_out_of_a_final_state() {
        for state in JobState::ALL {
            let follows = state.next();
            match state {
                JobState::Dead => assert_eq!(follows, [JobState::Ready]),
                _ => assert_eq!(follows.is_empty(), state.is_final(), "{state}"),
            }
        }
    }
}
