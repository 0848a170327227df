//! Rows of the tabs, from what the client returns.

use std::collections::HashMap;
use std::time::Duration;

use poolder_client::words::many;
use poolder_client::{Drain, Finding, Flow, Observed, Severity, attention};
use poolder_core::Timestamp;
use poolder_core::broker::{NodeView, ScheduleInfo, ServerView};
use poolder_core::history::{ErrorGroup, History, HistorySeries};
use poolder_core::view::{JobView, QueueView};

use super::rates::Rates;
use super::view::Subject;
use crate::job::state as job_state;
use crate::output::{Cell, NOTHING, Table, Tone, count, duration, number, second};
use crate::queue::{dead, state};
use crate::schedule::{self, status};

/// The time that 95 % of the jobs of a queue waited for a slot, by queue.
pub(super) type Waits = HashMap<String, Duration>;

/// Returns the waits of the queues in which jobs were claimed.
pub(super) fn waits(history: &History) -> Waits {
    let queues = history.queues.iter().filter(|of| of.total.wait.count > 0);
    let wait = |of: &HistorySeries| (of.queue.clone(), Duration::from_micros(of.total.wait.p95));
    queues.map(wait).collect()
}

/// Returns the name and version of the server, or the number of servers, and the time of a ping.
pub(super) fn servers(servers: &[ServerView]) -> String {
    let latency = servers.iter().filter_map(|server| server.latency).map(|it| it.median).max();
    let ping = latency.map(|micros| format!(" {:.1} ms", micros as f64 / 1_000.0));
    let name = match servers {
        [] => String::new(),
        [one] => one.name.clone(),
        several => many(several.len() as u64, "server"),
    };
    format!("{name}{}", ping.unwrap_or_default())
}

/// The columns of the line of the last minute.
const LINE: usize = 6;

/// Returns the table of all queues, the busiest first, and the subjects of its rows. `waits` has the
/// time that 95 % of the jobs of a queue waited at most.
pub(super) fn overview(views: &[QueueView], rates: &Rates, waits: &Waits) -> (Table, Vec<Subject>) {
    let mut table = Table::new(&[
        "QUEUE", ">1 MIN", ">DONE/S", ">FAIL/S", ">READY", ">DRAINS", ">WAIT95", ">RUN", ">LATER",
        ">RETRY", ">DEAD", "STATE",
    ]);
    let done = |view: &QueueView| rates.rate(name(view)).map_or(0.0, |rate| rate.done);
    let mut sorted: Vec<&QueueView> = views.iter().collect();
    sorted.sort_by(|a, b| done(b).total_cmp(&done(a)).then_with(|| name(a).cmp(name(b))));
    for view in &sorted {
        let rate = rates.rate(name(view));
        let failed = per_second(rate.map(|rate| rate.failed));
        let tone = if rate.is_some_and(|rate| rate.failed > 0.0) { Tone::Bad } else { Tone::Plain };
        table.row([
            name(view).into(),
            Cell::bars(rates.line(name(view), LINE)),
            per_second(rate.map(|rate| rate.done)).into(),
            Cell::new(failed).tone(tone),
            count(view.ready()).into(),
            drains(rates.flow(name(view))),
            waits.get(name(view)).map_or(NOTHING.to_owned(), |wait| duration(*wait)).into(),
            count(view.running()).into(),
            count(view.due.saturating_sub(view.retrying)).into(),
            count(view.retrying).into(),
            dead(view),
            state(view),
        ]);
    }
    (table, sorted.iter().map(|view| Subject::Queue(name(view).to_owned())).collect())
}

/// Returns the time after which no job of a queue waits any more; a dash where none waits.
fn drains(flow: Option<Flow>) -> Cell {
    match flow.map(|flow| flow.drains()) {
        Some(Drain::In(time)) => duration(time).into(),
        Some(Drain::Never) => Cell::new("never").tone(Tone::Warning),
        _ => NOTHING.into(),
    }
}

/// Returns the lines about what needs a person, of what the overview and the roster tell.
pub(super) fn calls(views: &[QueueView], nodes: &[NodeView], rates: &Rates) -> Vec<Cell> {
    let mut seen = Observed::of_overview(views, nodes);
    for queue in &mut seen.queues {
        queue.flow = rates.flow(queue.queue.as_str());
    }
    let line = |finding: Finding| {
        let tone = match finding.severity {
            Severity::Problem => Tone::Bad,
            _ => Tone::Warning,
        };
        Cell::new(format!("{}: {}", finding.subject, finding.what)).tone(tone)
    };
    let worth = |finding: &Finding| finding.severity > Severity::Note;
    attention(&seen).into_iter().filter(worth).map(line).collect()
}

/// Returns the table of groups of equal errors, and the subjects of its rows.
pub(super) fn errors(groups: &[ErrorGroup], now: Timestamp) -> (Table, Vec<Subject>) {
    let mut table = Table::new(&["ID", ">1 HOUR", ">LAST", ">FIRST", "KIND", "CAUSE", "MESSAGE"]);
    let ago = |at| format!("{} ago", duration(now.since(at)));
    for group in groups {
        table.row([
            group.id.to_string().into(),
            count(group.last_hour).into(),
            ago(group.last_seen).into(),
            ago(group.first_seen).into(),
            (&group.sample.kind).into(),
            group.sample.cause.to_string().into(),
            match group.is_muted() {
                true => Cell::new(format!("(muted) {}", group.sample.message)).tone(Tone::Faint),
                false => (&group.sample.message).into(),
            },
        ]);
    }
    (table, groups.iter().map(|group| Subject::Error(group.id)).collect())
}

/// Returns the facts about a schedule, with its next three ticks and its last runs.
pub(super) fn schedule_facts(info: &ScheduleInfo, now: Timestamp) -> Vec<(String, Cell)> {
    let mut facts = schedule::facts_of(info);
    facts.push(("last run", second(info.last_run).into()));
    let mut name = "last runs";
    for run in &info.last_runs {
        let ago = duration(now.since(run.tick));
        let end = schedule::end_of(run);
        let text = format!("{} of {ago} ago", end.text());
        facts.push((name, Cell::new(text).tone(end.meaning())));
        name = "";
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the table of a page of jobs: of each id the last group, which differs most, and its time
/// from now.
pub(super) fn jobs(jobs: &[JobView], now: Timestamp) -> (Table, Vec<Subject>) {
    let mut table = Table::new(&["ID", "STATE", "KIND", ">TRY", ">TIME", "NODE", "ERROR"]);
    for job in jobs {
        let id = job.id().to_string();
        let time = match job.at > now {
            true => format!("in {}", duration(job.at.since(now))),
            false => format!("{} ago", duration(now.since(job.at))),
        };
        table.row([
            id.rsplit('-').next().unwrap_or(&id).into(),
            job_state(job.state),
            job.kind().unwrap_or(NOTHING).into(),
            number(job.attempt().into()).into(),
            time.into(),
            job.node.as_deref().unwrap_or(NOTHING).into(),
            job.failure().map_or(NOTHING.to_owned(), |failure| failure.message.clone()).into(),
        ]);
    }
    (table, jobs.iter().map(|job| Subject::Job(job.handle.clone())).collect())
}

/// Returns the table of some schedules, with their times from now.
pub(super) fn schedules(all: &[ScheduleInfo], now: Timestamp) -> (Table, Vec<Subject>) {
    let mut table = Table::new(&[
        "NAME", "QUEUE", "STATUS", "TIMING", "KIND", ">NEXT", ">LAST", ">RUNS", ">MISSED",
    ]);
    for info in all {
        let next = info.next.map(|at| format!("in {}", duration(at.since(now))));
        let last = info.last_run.map(|at| format!("{} ago", duration(now.since(at))));
        table.row([
            (&info.name).into(),
            info.partition.queue.as_str().into(),
            status(info.status),
            info.schedule.timing.to_string().into(),
            info.schedule.job.kind().into(),
            next.unwrap_or(NOTHING.to_owned()).into(),
            last.unwrap_or(NOTHING.to_owned()).into(),
            count(info.runs).into(),
            count(info.missed).into(),
        ]);
    }
    let subject = |info: &ScheduleInfo| Subject::Schedule {
        queue: info.partition.queue.to_string(),
        name: info.name.clone(),
    };
    (table, all.iter().map(subject).collect())
}

fn name(view: &QueueView) -> &str {
    view.queue.as_str()
}

/// Returns the sums over all queues.
pub(super) fn sums(views: &[QueueView], rates: &Rates, nodes: usize) -> Vec<(&'static str, Cell)> {
    let sum = |of: fn(&QueueView) -> u64| number(views.iter().map(of).sum()).into();
    let known: Vec<_> = views.iter().filter_map(|view| rates.rate(name(view))).collect();
    let rate = (!known.is_empty()).then(|| known.iter().map(|rate| rate.done).sum());
    let failed: Option<f64> =
        (!known.is_empty()).then(|| known.iter().map(|rate| rate.failed).sum());
    let tone = if failed.is_some_and(|failed| failed > 0.0) { Tone::Bad } else { Tone::Plain };
    vec![
        ("done/s", per_second(rate).into()),
        ("failed/s", Cell::new(per_second(failed)).tone(tone)),
        ("running", sum(|view| view.running())),
        ("ready", sum(|view| view.ready())),
        ("due", sum(|view| view.due)),
        ("dead", sum(|view| view.dead)),
        ("nodes", number(nodes as u64).into()),
    ]
}

/// Returns a rate with one digit after the point below 10, and a dash for none.
fn per_second(rate: Option<f64>) -> String {
    match rate {
        None => NOTHING.to_owned(),
        Some(rate) if rate < 0.05 => "0".to_owned(),
        Some(rate) if rate < 10.0 => format!("{rate:.1}"),
        Some(rate) => number(rate.round() as u64),
    }
}
