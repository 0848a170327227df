//! The walk of a job: its failed attempts on a line of time, and as a table.

use std::fmt::Write;
use std::time::Duration;

use poolder_core::view::JobView;
use poolder_core::{Cause, JobState, Timestamp};

use super::nodes;
use crate::show::{Cell, Column, Table, UNKNOWN, clock, full, span, time_element};

const WIDTH: f64 = 1_000.0;

/// Returns the attempts of a job as a picture; nothing for a job without a failed attempt.
pub(super) fn picture(job: &JobView, now: Timestamp) -> String {
    let attempts = job.attempts();
    let Some(first) = attempts.first() else { return String::new() };
    let from = first.at - first.took;
    let waits =
        matches!(job.state, JobState::Retrying | JobState::Scheduled) && !job.waits_behind();
    let last = attempts.last().map_or(now, |attempt| attempt.at);
    let to = [now, last, if waits { job.at } else { now }].into_iter().max().unwrap_or(now);
    let whole = to.since(from).max(Duration::from_millis(1)).as_secs_f64();
    let x =
        |at: Timestamp| (at.since(from).as_secs_f64() / whole * (WIDTH - 40.0) + 20.0).min(WIDTH);
    let mut shape =
        format!("<line class=\"mark\" x1=\"20\" x2=\"{:.1}\" y1=\"42\" y2=\"42\"/>", x(to));
    let mut last_name = 0.0;
    for (number, attempt) in (1..).zip(&attempts) {
        let (start, end) = (x(attempt.at - attempt.took), x(attempt.at));
        let class = if attempt.cause == Cause::Crash { "warn-bar" } else { "bad-bar" };
        // Writing to a string does not fail.
        let _ = write!(
            shape,
            "<rect class=\"{class}\" x=\"{start:.1}\" y=\"30\" width=\"{:.1}\" height=\"24\" rx=\"3\"/>",
            (end - start).max(5.0),
        );
        // Attempts may be too close together for a number each.
        let middle = (start + end) / 2.0;
        if middle - last_name >= 16.0 {
            last_name = middle;
            let _ = write!(
                shape,
                "<text class=\"axis strong\" x=\"{middle:.1}\" y=\"22\" \
                 text-anchor=\"middle\">{number}</text>"
            );
        }
    }
    let _ = write!(
        shape,
        "<line class=\"now\" x1=\"{0:.1}\" x2=\"{0:.1}\" y1=\"26\" y2=\"58\"/>\
         <text class=\"axis strong accent-t\" x=\"{0:.1}\" y=\"74\" text-anchor=\"middle\">now</text>",
        x(now)
    );
    if waits && job.at > now {
        let _ = write!(
            shape,
            "<circle class=\"next\" cx=\"{0:.1}\" cy=\"42\" r=\"6\"/>\
             <text class=\"axis strong\" x=\"{0:.1}\" y=\"22\" text-anchor=\"middle\">{1}</text>",
            x(job.at),
            job.attempt()
        );
    }
    let _ = write!(
        shape,
        "<text class=\"axis\" x=\"20\" y=\"94\">{}</text>\
         <text class=\"axis\" x=\"{:.1}\" y=\"94\" text-anchor=\"end\">{}</text>",
        clock(from),
        x(to),
        clock(to)
    );
    format!(
        "<svg viewBox=\"0 0 {WIDTH} 100\" role=\"img\" aria-label=\"The walk of the job: {} failed \
         attempts\">{shape}</svg>",
        attempts.len()
    )
}

/// Returns the attempts of a job as a table.
pub(super) fn table(job: &JobView, now: Timestamp) -> Table {
    let columns = vec![
        Column::number("No."),
        Column::text("Started, UTC"),
        Column::text("Node"),
        Column::number("Took"),
        Column::text("End"),
        Column::text("Error"),
    ];
    let mut table = Table::new("Attempts that failed", columns).or("No attempt has failed.");
    for (number, attempt) in (1_u64..).zip(job.attempts()) {
        let tone = if attempt.cause == Cause::Crash { "warn" } else { "bad" };
        let crash = attempt.cause == Cause::Crash;
        let started = attempt.at - attempt.took;
        let end = if crash { "node died".to_owned() } else { attempt.cause.to_string() };
        table.row([
            Cell::count(number),
            Cell::markup(time_element(started, &clock(started))),
            Cell::known(nodes::short(&attempt.node)),
            Cell::text(if crash { UNKNOWN.into() } else { span(attempt.took) }),
            Cell::text("").chip(if crash { "errors" } else { "no" }, &end, tone),
            Cell::text(attempt.error(job.kind().unwrap_or_default()).to_string())
                .class("mono faint"),
        ]);
    }
    if job.state == JobState::Running {
        table.row([
            Cell::count(job.attempt().into()),
            Cell::markup(time_element(job.at, &clock(job.at))),
            Cell::known(nodes::short(job.node.as_deref().unwrap_or_default())),
            Cell::text(span(now.since(job.at))),
            Cell::text("").chip("running", "runs", "ok"),
            Cell::known(""),
        ]);
    }
    table
}

/// Returns the counters of a job in a line.
pub(super) fn counted(job: &JobView) -> String {
    let counters = &job.counters;
    let work: Duration = job.attempts().iter().map(|attempt| attempt.took).sum();
    let failures = crate::show::many(counters.failures.into(), "failure");
    let crashes = crate::show::many(counters.crashes.into(), "crash");
    let crashes = crashes.replace("crashs", "crashes");
    format!("{failures}, {crashes}, {} of failed work", span(work))
}

/// Returns a moment as a whole sentence needs it.
pub(super) fn since(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", full(at), crate::show::from_now(at, now))
}
