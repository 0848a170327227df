//! One change of several subjects, such as queues or slots.

use serde_json::Value;

use crate::failure::Failure;
use crate::output::Report;

/// The changes that were made, or would be, and those that failed.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    done: Vec<Value>,
    ids: Vec<String>,
    lines: Vec<String>,
    failures: Vec<Failure>,
}

impl Changes {
    /// Adds a change: its JSON form, its id and its line for people.
    pub(crate) fn done(&mut self, value: Value, id: impl Into<String>, line: impl Into<String>) {
        self.done.push(value);
        self.ids.push(id.into());
        self.lines.push(line.into());
    }

    /// Adds a change that a dry run has not made: `pause mail`. `subject` is the JSON form of what
    /// would be changed.
    pub(crate) fn would(&mut self, change: &str, subject: Value, id: impl Into<String>) {
        let (value, line) = would(change, subject);
        self.done(value, id, line);
    }

    pub(crate) fn failed(&mut self, failure: impl Into<Failure>) {
        self.failures.push(failure.into());
    }

    /// Returns the report, or the failure if nothing but one change was to be made and it failed.
    pub(crate) fn report(mut self) -> Result<Report, Failure> {
        if self.done.is_empty() && self.failures.len() == 1 {
            return Err(self.failures.remove(0));
        }
        let report = Report::new(&self.done).ids(self.ids);
        let report = self.lines.iter().fold(report, Report::line);
        Ok(self.failures.iter().fold(report, Report::failed))
    }
}

/// Returns the report of a dry run of one change: `resize mail from 4 to 8 slots`.
pub(crate) fn would_change(change: &str, subject: Value, id: impl ToString) -> Report {
    let (value, line) = would(change, subject);
    Report::new(value).ids([id]).line(line)
}

fn would(change: &str, mut subject: Value) -> (Value, String) {
    subject["dry_run"] = true.into();
    subject["would"] = change.into();
    (subject, format!("this would {change}"))
}
