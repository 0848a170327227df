//! The progress of a change, as its page shows it.

use poolder_client::BulkReport;

/// The progress of a change.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    /// The number of jobs that were looked at.
    pub(crate) looked_at: u64,
    /// The number of jobs that are to be looked at, as far as it is known.
    pub(crate) of: u64,
    /// The number of jobs that satisfy the conditions.
    pub(crate) matched: u64,
    /// The number of jobs that were changed.
    pub(crate) changed: u64,
    /// The partitions that could not be read, and why.
    pub(crate) away: Vec<String>,
    /// The end of the change; `None` while it goes on.
    pub(crate) end: Option<End>,
}

/// The way in which a change has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum End {
    /// All jobs were looked at.
    Done,
    /// A visitor has stopped it.
    Stopped,
    /// A step failed, for this reason.
    Failed(String),
}

impl Progress {
    /// Returns the sums of this progress and a report.
    pub(super) fn plus(&self, report: &BulkReport) -> Self {
        let away = report.unreachable.iter().map(|it| format!("{}: {}", it.partition, it.why));
        Self {
            looked_at: self.looked_at + report.looked_at,
            of: self.of + report.of,
            matched: self.matched + report.matched,
            changed: self.changed + report.changed,
            away: self.away.iter().cloned().chain(away).collect(),
            end: None,
        }
    }
}
