//! The form in which the reasons why something does not run are shown.

use poolder_client::{Explanation, Why};

use crate::failure::Exit;
use crate::output::{Cell, Report, Table, Tone};

/// Returns the report of an explanation. The exit code tells a job that waits for a person.
pub(crate) fn report(explanation: &Explanation) -> Report {
    let mut checks = Table::new(&["OK", "CHECK", "ANSWER"]);
    for check in &explanation.checks {
        let ok = match check.ok {
            true => Cell::new("yes").tone(Tone::Good),
            false => Cell::new("NO").tone(Tone::Bad),
        };
        checks.row([ok, check.name.into(), (&check.text).into()]);
    }
    let exit = match explanation.verdict {
        Why::NotFound => Exit::NotFound,
        _ if explanation.is_stuck() => Exit::CheckFailed,
        _ => Exit::Done,
    };
    let report = Report::new(explanation)
        .ids([explanation.verdict])
        .line(&explanation.subject)
        .line(format!("{}: {}", explanation.verdict, explanation.reason))
        .lines("\n")
        .table(checks)
        .exit(exit);
    match &explanation.hint {
        Some(hint) => report.note(format!("hint: {hint}")),
        None => report,
    }
}
