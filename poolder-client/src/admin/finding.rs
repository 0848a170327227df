//! One finding of a doctor or of the rules of attention.

use std::fmt;

use poolder_core::{Lane, Partition};
use serde::Serialize;

/// One fault, or one thing that may become a fault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// The name of the fault, such as `no_leader`. Names do not change.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// The server, the node, the queue or the slot that has the fault.
    pub subject: String,
    /// The fault, as a sentence.
    pub what: String,
    /// The harm that it does.
    pub why: String,
    /// The thing to do.
    pub cure: String,
    /// A repair that is safe, for [`Client::repair`](crate::Client::repair); `None` when a person
    /// must decide.
    pub repair: Option<Repair>,
}

impl Finding {
    /// Creates a finding that has no repair.
    pub(crate) fn new(
        code: &'static str,
        severity: Severity,
        subject: String,
        (what, why, cure): (String, &str, &str),
    ) -> Self {
        let (why, cure) = (why.into(), cure.into());
        Self { code, severity, subject, what, why, cure, repair: None }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {} [{}]: {}", self.severity, self.subject, self.code, self.what)?;
        writeln!(f, "  why: {}", self.why)?;
        writeln!(f, "  do:  {}", self.cure)?;
        match self.repair {
            Some(_) => writeln!(f, "  this can be repaired for you"),
            None => Ok(()),
        }
    }
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth knowing.
    Note,
    /// It does no harm yet.
    Warning,
    /// Jobs wait, are lost, or may be.
    Problem,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "NOTE",
            Self::Warning => "WARNING",
            Self::Problem => "PROBLEM",
        })
    }
}

/// A repair that takes no job away and changes none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Repair {
    /// Creates the consumer group of a lane, from its first entry on.
    CreateGroup(Partition, Lane),
    /// Removes a consumer that holds no entry, unless it holds one by then.
    ForgetConsumer(Partition, Lane, String),
    /// Removes cancellations that are older than their retention.
    ExpireCancellations(Partition),
}
