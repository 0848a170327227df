//! The seven states of a job, and which may follow which.

use std::fmt;

/// What a job is doing, from an operator's point of view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Waits for its time.
    Scheduled,
    /// Waits for a free slot.
    Ready,
    /// A slot has it.
    Running,
    /// Done; nothing is kept but the counters, and the result where one was asked for.
    Completed,
    /// An attempt failed; waits for the next.
    Retrying,
    /// Attempts used up, halted, or the cause of crashes; kept for an operator.
    Dead,
    /// Someone asked for it to stop.
    Cancelled,
}

impl State {
    /// Every state.
    pub const ALL: [Self; 7] = [
        Self::Scheduled,
        Self::Ready,
        Self::Running,
        Self::Completed,
        Self::Retrying,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The states that may follow this one.
    #[must_use]
    pub fn next(self) -> &'static [Self] {
        use State::{Cancelled, Completed, Dead, Ready, Retrying, Running, Scheduled};
        match self {
            Scheduled | Retrying => &[Ready, Cancelled],
            Ready => &[Running, Cancelled],
            // Back to Scheduled by a snooze, back to Ready by a rescue or a hand-back.
            Running => &[Completed, Retrying, Scheduled, Ready, Dead, Cancelled],
            Dead => &[Ready],
            Completed | Cancelled => &[],
        }
    }

    /// True when nothing follows by itself.
    #[must_use]
    pub fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Dead | Self::Cancelled)
    }

    /// The word for it.
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

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::State;

    #[test]
    fn only_an_operator_leads_out_of_a_final_state() {
        for state in State::ALL {
            let follows = state.next();
            match state {
                State::Dead => assert_eq!(follows, [State::Ready]),
                _ => assert_eq!(follows.is_empty(), state.is_final(), "{state}"),
            }
        }
    }
}
