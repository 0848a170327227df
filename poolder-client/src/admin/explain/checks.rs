//! Collects the checks of an explanation. The first that fails is the verdict.

use poolder_core::{JobId, JobState, QueueName, Timestamp};

use crate::admin::check::Check;
use crate::admin::explain::explanation::{Explanation, Why};

/// The checks so far, and the verdict once there is one.
#[derive(Debug, Default)]
pub(super) struct Checks {
    pub(super) list: Vec<Check>,
    pub(super) verdict: Option<Verdict>,
}

/// The reason that was found.
#[derive(Debug)]
pub(super) struct Verdict {
    pub(super) why: Why,
    pub(super) reason: String,
    pub(super) until: Option<Timestamp>,
    pub(super) hint: Option<String>,
}

impl Checks {
    /// Adds an answer that is as it should be.
    pub(super) fn pass(&mut self, name: &'static str, read: &'static str, text: String) {
        self.list.push(Check::new(name, true, text, read));
    }

    /// Adds an answer that keeps the job from running, and makes it the verdict if it is the first.
    pub(super) fn fail(
        &mut self,
        name: &'static str,
        read: &'static str,
        (why, text): (Why, String),
        until: Option<Timestamp>,
        hint: Option<String>,
    ) {
        self.list.push(Check::new(name, false, text.clone(), read));
        self.decide(why, text, until, hint);
    }

    /// Makes this the verdict if there is none.
    pub(super) fn decide(
        &mut self,
        why: Why,
        reason: String,
        until: Option<Timestamp>,
        hint: Option<String>,
    ) {
        if self.verdict.is_none() {
            self.verdict = Some(Verdict { why, reason, until, hint });
        }
    }
}

/// Makes the explanation of a subject: its queue, its job and the job's state, as far as they are
/// known. Without a verdict nothing is in the way.
pub(super) fn explained(
    subject: String,
    (queue, job, state): (Option<QueueName>, Option<JobId>, Option<JobState>),
    Checks { list, verdict }: Checks,
) -> Explanation {
    let (verdict, reason, until, hint) = match verdict {
        Some(found) => (found.why, found.reason, found.until, found.hint),
        None => (Why::Next, "nothing is in its way: it starts at any moment".into(), None, None),
    };
    Explanation { subject, queue, job, state, verdict, reason, until, hint, checks: list }
}
