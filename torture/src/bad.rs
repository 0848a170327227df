//! The misbehaviour of handlers, and what is promised for each kind.

use serde::{Deserialize, Serialize};

/// What is wrong with a handler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bad {
    /// The handler panics once before its future exists.
    EarlyPanic,
    /// The `Deserialize` of the job panics each time, so that no handler ever begins.
    Unreadable,
    /// `handle_error` panics before its future exists.
    JudgePanics,
    /// `handle_error` never returns.
    JudgeHangs,
    /// The attempt takes too long, and the `Drop` of its future panics. `handle_error` buries the
    /// job.
    TimeoutBomb,
    /// The job is cancelled by an operator while it runs, does not stop, and the `Drop` of its
    /// future panics.
    CancelBomb,
    /// The `Display` of the first attempt's error panics.
    DisplayPanics,
    /// The `Display` of the first attempt's error returns an error.
    DisplayFails,
    /// The `Drop` of the error panics. `handle_error` buries the job.
    ErrorBomb,
    /// The first attempt panics with a payload whose `Drop` panics.
    PayloadBomb,
    /// The first attempt panics, and so does the next `Clone` of a worker in the process.
    ClonePanics,
    /// The first attempt drops a runtime, which tokio does not allow inside another.
    Runtime,
    /// Every attempt fails, and `handle_error` runs the job again at once.
    RetriesAtOnce,
    /// The handler blocks its thread, and succeeds.
    Blocks,
}

/// The number of attempts of [`Bad::RetriesAtOnce`].
const AT_ONCE: u32 = 60;

impl Bad {
    /// All kinds except [`Bad::JudgeHangs`], which keeps a slot for half a minute.
    pub(crate) const QUICK: &[Self] = &[
        Self::EarlyPanic,
        Self::Unreadable,
        Self::JudgePanics,
        Self::TimeoutBomb,
        Self::CancelBomb,
        Self::DisplayPanics,
        Self::DisplayFails,
        Self::ErrorBomb,
        Self::PayloadBomb,
        Self::ClonePanics,
        Self::Runtime,
        Self::RetriesAtOnce,
        Self::Blocks,
    ];

    /// Returns true when the job is buried in the end.
    pub(crate) fn dies(self) -> bool {
        matches!(self, Self::Unreadable | Self::TimeoutBomb | Self::ErrorBomb | Self::RetriesAtOnce)
    }

    /// Returns the number of the attempt that buries the job, if handlers see it.
    pub(crate) fn last_attempt(self) -> Option<u32> {
        match self {
            Self::TimeoutBomb | Self::ErrorBomb => Some(1),
            Self::RetriesAtOnce => Some(AT_ONCE),
            _ => None,
        }
    }

    /// Returns the number of attempts in the policy of the job.
    pub(crate) fn attempts(self) -> Option<u32> {
        (self == Self::RetriesAtOnce).then_some(AT_ONCE)
    }
}
