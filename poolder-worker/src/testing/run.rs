//! How an attempt has ended.

use std::ops::RangeBounds;
use std::time::Duration;

use poolder_core::captured::ListedJob;
use poolder_core::policy::decide::{Transition, Wait};
use poolder_core::view::JobView;
use poolder_core::{Completion, Error, Failure, Job, JobId};
use serde::de::DeserializeOwned;

use super::expect::{HoldsJobs, decoded};
use super::queue_node::AttemptEnd;

/// The fate of a job after an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fate {
    /// The job is done.
    Done,
    /// The attempt failed, and the next one follows after this time; zero for at once, in the same
    /// slot.
    Retried(Duration),
    /// The handler put the job off by this time.
    Snoozed(Duration),
    /// The attempt met a limit of another system: the group or the queue of the job is held for this
    /// time.
    Limited(Duration),
    /// The job died.
    Dead,
    /// The job was cancelled for this reason.
    Cancelled(String),
    /// No worker of the pool knows the kind or the version of the job: it waits for another node.
    Unknown,
    /// The job returned to its lane.
    Released,
}

/// The end of one attempt, made by awaiting a [`Perform`](super::Perform).
#[derive(Debug)]
#[must_use = "a run that is not looked at tests nothing"]
pub struct Run {
    fate: Fate,
    failure: Option<Failure>,
    completion: Option<Completion>,
    progress: Option<(u64, u64)>,
    enqueued: Vec<ListedJob>,
    hook_error: Option<String>,
}

impl Run {
    pub(super) fn new(
        end: AttemptEnd,
        progress: Option<(u64, u64)>,
        enqueued: Vec<ListedJob>,
    ) -> Self {
        let AttemptEnd { transition, hook_error, .. } = end;
        let (fate, failure) = Fate::of(&transition);
        let completion = match transition {
            Transition::Complete => Some(Completion::Done),
            Transition::CompleteWith(result) => Some(Completion::DoneWith(result)),
            Transition::Bury { .. } => failure.clone().map(Completion::Dead),
            ended => ended.cancellation().map(|why| Completion::Cancelled(why.to_owned())),
        };
        Self { fate, failure, completion, progress, enqueued, hook_error }
    }

    /// Returns the fate of the job.
    #[must_use]
    pub fn fate(&self) -> &Fate {
        &self.fate
    }

    /// Returns true when the job is done.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.fate == Fate::Done
    }

    /// Returns true when the job died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.fate == Fate::Dead
    }

    /// Returns true when the attempt failed and the next one follows after a time in this range,
    /// such as `Duration::from_secs(271)..`.
    #[must_use]
    pub fn is_retried_after(&self, range: impl RangeBounds<Duration>) -> bool {
        matches!(&self.fate, Fate::Retried(delay) if range.contains(delay))
    }

    /// Returns true when the handler put the job off by a time in this range.
    #[must_use]
    pub fn is_snoozed_for(&self, range: impl RangeBounds<Duration>) -> bool {
        matches!(&self.fate, Fate::Snoozed(delay) if range.contains(delay))
    }

    /// Returns the failure of the attempt, with its cause and its message; `None` when it did not
    /// fail.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_ref()
    }

    /// Returns true when the attempt failed, and its message contains this text.
    #[must_use]
    pub fn failed_with(&self, text: &str) -> bool {
        self.failure().is_some_and(|failure| failure.message.contains(text))
    }

    /// Returns the result of the handler, as a caller of the job receives it.
    ///
    /// # Errors
    /// As [`Client::call`](poolder_client::Client::call): when the job died, was cancelled, has no
    /// result or one of another type. [`Error::is_no_result`] also when the job has not ended.
    pub fn result<T: DeserializeOwned>(&self) -> Result<T, Error> {
        let Some(completion) = self.completion.clone() else {
            let text = format!("the job has not ended: {:?}, {:?}", self.fate, self.failure);
            return Err(Error::no_result(text));
        };
        completion.into_result(JobId::from_bytes([0; 16]))
    }

    /// Returns the progress that the handler reported last: units done and units in total.
    #[must_use]
    pub fn progress(&self) -> Option<(u64, u64)> {
        self.progress
    }

    /// Returns the jobs that were enqueued while the attempt ran, in their order.
    #[must_use]
    pub fn jobs(&self) -> Vec<JobView> {
        self.enqueued.iter().map(|job| job.view.clone()).collect()
    }

    /// Returns the jobs of one type that were enqueued while the attempt ran, in their order.
    ///
    /// # Panics
    /// Panics when a stored job of one of the type's kinds cannot be read.
    #[must_use]
    pub fn enqueued<J: Job>(&self) -> Vec<J> {
        decoded(&self.jobs())
    }

    /// Returns the error of a hook that was told of the death of the job (`on_dead`).
    #[must_use]
    pub fn hook_error(&self) -> Option<&str> {
        self.hook_error.as_deref()
    }
}

impl HoldsJobs for Run {
    fn listed(&self) -> Vec<ListedJob> {
        self.enqueued.clone()
    }
}

impl Fate {
    /// Returns the fate that a transition is, and the failure that led to it.
    pub(super) fn of(transition: &Transition) -> (Self, Option<Failure>) {
        match transition {
            Transition::Complete | Transition::CompleteWith(_) => (Self::Done, None),
            Transition::Cancel(reason) => (Self::Cancelled(reason.clone()), None),
            Transition::Expire => {
                (Self::Cancelled(transition.cancellation().unwrap_or_default().to_owned()), None)
            }
            Transition::RunAgain(counters) => {
                (Self::Retried(Duration::ZERO), counters.last_failure.clone())
            }
            Transition::Later { delay, counters, why: Wait::Retry } => {
                (Self::Retried(*delay), counters.last_failure.clone())
            }
            Transition::Later { delay, why: Wait::Snooze, .. } => (Self::Snoozed(*delay), None),
            Transition::Later { delay, why: Wait::HoldGroup | Wait::HoldQueue, .. } => {
                (Self::Limited(*delay), None)
            }
            Transition::Later { why: Wait::UnknownKind, .. } => (Self::Unknown, None),
            Transition::Ready { .. } => (Self::Released, None),
            Transition::Bury { counters } => (Self::Dead, counters.last_failure.clone()),
        }
    }
}
