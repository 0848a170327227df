//! The commands `poolder status` and `poolder doctor`.

use clap::Args;
use poolder_client::words::many_do;
use poolder_client::{FleetStatus, Severity};
use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, duration, second};

/// The options of the doctor.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Carry out the repairs that are safe: they take no job away and change none.
    #[arg(long)]
    fix: bool,
    /// Exit with 6 for warnings as well.
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    confirm: Confirm,
}

/// Shows the fleet in short, and what needs a person.
pub(crate) async fn status(common: &Common) -> Result<Report, Failure> {
    let status = common.client().await?.status().await?;
    let exit = if status.needs_a_person() { Exit::CheckFailed } else { Exit::Done };
    let mut findings = Table::new(&["SEVERITY", "SUBJECT", "CODE", "FAULT"]);
    for finding in &status.attention {
        findings.row([
            severity(finding.severity),
            (&finding.subject).into(),
            finding.code.into(),
            (&finding.what).into(),
        ]);
    }
    let nodes = many_do(status.nodes, "node", "live");
    let report = Report::new(&status)
        .ids(status.attention.iter().map(|finding| finding.code))
        .line(nodes)
        .table(queues(&status))
        .exit(exit);
    Ok(match status.attention.is_empty() {
        true => report.line("nothing needs a person"),
        false => report.lines("\n").table(findings),
    })
}

fn queues(status: &FleetStatus) -> Table {
    let mut table = Table::new(&[
        "QUEUE",
        ">READY",
        ">OLDEST",
        ">RUNNING",
        ">LATER",
        ">RETRY",
        ">DEAD",
        "PAUSED SINCE",
    ]);
    for queue in &status.queues {
        table.row([
            queue.queue.as_str().into(),
            count(queue.ready).into(),
            queue.oldest.map_or(NOTHING.to_owned(), duration).into(),
            count(queue.running).into(),
            count(queue.due.saturating_sub(queue.retrying)).into(),
            count(queue.retrying).into(),
            count(queue.dead).into(),
            Cell::new(second(queue.paused)).tone(Tone::Warning),
        ]);
    }
    table
}

fn severity(severity: Severity) -> Cell {
    let tone = match severity {
        Severity::Problem => Tone::Bad,
        Severity::Warning => Tone::Warning,
        _ => Tone::Faint,
    };
    Cell::new(severity.to_string()).tone(tone)
}

/// Examines the server and the fleet for faults, and repairs what can be repaired safely. A server
/// that cannot be reached is a finding as well.
pub(crate) async fn doctor(common: &Common, options: &Doctor) -> Result<Report, Failure> {
    let client = common.lazy_client()?;
    let mut diagnosis = client.doctor().await?;
    let (mut done, mut would) = (vec![], vec![]);
    let mut failures = vec![];
    if options.fix && options.confirm.dry_run {
        let repairs = diagnosis.findings.iter().filter(|finding| finding.repair.is_some());
        would.extend(repairs.map(|finding| format!("{} of {}", finding.code, finding.subject)));
    } else if options.fix {
        for finding in diagnosis.findings.iter().filter(|finding| finding.repair.is_some()) {
            match client.repair(finding).await {
                Ok(text) => done.push(text),
                Err(error) => failures.push(Failure::from(error)),
            }
        }
        if !done.is_empty() {
            diagnosis = client.doctor().await?;
        }
    }
    let worst = if options.strict { Severity::Warning } else { Severity::Problem };
    let is_bad = diagnosis.worst().is_some_and(|found| found >= worst);
    let mut value = json!(diagnosis);
    value["repaired"] = json!(done);
    value["would_repair"] = json!(would);
    let report = Report::new(value)
        .ids(diagnosis.findings.iter().map(|finding| finding.code))
        .lines(diagnosis.to_string())
        .exit(if is_bad { Exit::CheckFailed } else { Exit::Done });
    let report = done.iter().fold(report, |report, text| report.note(format!("repaired: {text}")));
    let report =
        would.iter().fold(report, |report, text| report.note(format!("this would repair {text}")));
    Ok(failures.iter().fold(report, Report::failed))
}
