//! One question that was asked of the server, and its answer.

use std::fmt;

use serde::Serialize;

/// One line of an explanation or of a diagnosis: what was asked, whether the answer is as it should
/// be, and the read behind it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Check {
    /// The name of the question, such as `paused`. Names do not change.
    pub name: &'static str,
    /// False when the answer keeps a job from running, or is a fault.
    pub ok: bool,
    /// The answer, as a sentence.
    pub text: String,
    /// The commands, and the keys without their prefix, from which the answer was read.
    pub read: &'static str,
}

impl Check {
    pub(crate) fn new(name: &'static str, ok: bool, text: String, read: &'static str) -> Self {
        Self { name, ok, text, read }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mark = if self.ok { "ok" } else { "NO" };
        write!(f, "{mark}  {:<10} {}", self.name, self.text)
    }
}
