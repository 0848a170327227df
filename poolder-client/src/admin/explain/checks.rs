//! Collects the checks of an explanation. The first that fails is the verdict.

use poolder_core::Timestamp;

use crate::admin::check::Check;
use crate::admin::explain::explanation::Why;

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

    /// Returns true when the verdict is known.
    pub(super) fn is_decided(&self) -> bool {
        self.verdict.is_some()
    }
}
