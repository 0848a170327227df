//! The overview: what needs a person, six numbers, two charts, the queues, the errors and the nodes.

use askama::Template;
use axum::response::Response;
use poolder_client::{Drain, Flow};
use poolder_core::history::{ErrorGroup, History};

use super::answer::{answer, rendered};
use super::change::{Action, Buttons, Subject};
use super::charts;
use super::frame::{Frame, as_of};
use super::notes::{Note, notes};
use super::{nodes, queues};
use crate::access::Access;
use crate::look::{Fleet, Past, Seen, failures};
use crate::request::{Context, Fault};
use crate::show::{
    Cell, Chart, Column, Table, UNKNOWN, area, bars, escaped, line, many, micros, number, percent,
    rate, span,
};

/// The size of the pictures below the numbers.
pub(super) const PICTURE: (u32, u32) = (160, 24);

/// One of the six numbers.
#[derive(Debug)]
pub(crate) struct Number {
    pub(crate) name: &'static str,
    pub(crate) value: String,
    pub(crate) unit: String,
    pub(crate) about: String,
    pub(crate) tone: &'static str,
    pub(crate) picture: String,
}

/// The part of the overview that changes.
#[derive(Debug, Template)]
#[template(path = "parts/overview.html")]
struct OverviewPart {
    as_of: String,
    away: String,
    about: String,
    /// The link to the form of a new job; empty for a visitor who may not enqueue one.
    enqueue: String,
    buttons: Buttons,
    notes: Vec<Note>,
    more_notes: usize,
    numbers: Vec<Number>,
    charts: Vec<Chart>,
    queues: Table,
    errors: Table,
    errors_about: String,
    nodes: Table,
    deploys: String,
}

#[derive(Debug, Template)]
#[template(path = "overview.html")]
struct OverviewPage {
    frame: Frame,
    part: String,
}

/// Answers with the overview.
pub(crate) async fn overview(context: Context) -> Response {
    let page = page(&context).await;
    answer(&context, page).await
}

async fn page(context: &Context) -> Result<OverviewPage, Fault> {
    let fleet = context.shared.looks.fleet().await?;
    let frame = Frame::new(context, "Overview", "/", Some(&fleet)).await;
    let frame = frame.with_ranges(context, "/").live(context, "/overview");
    let part = overview_part(context).await?;
    Ok(OverviewPage { frame, part })
}

/// The most sentences that the overview shows.
const NOTES: usize = 8;
const ERRORS: usize = 6;

/// Returns the part of the overview that changes.
pub(crate) async fn overview_part(context: &Context) -> Result<String, Fault> {
    let looks = &context.shared.looks;
    let (fleet, history, errors, events, status) = tokio::join!(
        looks.fleet(),
        looks.history(context.range()),
        looks.errors(),
        looks.events(),
        looks.status(),
    );
    let (fleet, history) = (fleet?, history?);
    let past = visible(context, &fleet.value, &history.value);
    let mut found = match &status {
        Ok(status) => notes(context, &status.value.attention),
        Err(_) => vec![],
    };
    let more_notes = found.len().saturating_sub(NOTES);
    found.truncate(NOTES);
    let shown = context.queues(&fleet.value).len() as u64;
    let fleet_nodes = &fleet.value.nodes;
    let part = OverviewPart {
        as_of: as_of(&fleet),
        away: super::frame::away(&fleet),
        about: format!("{}, {}", many(shown, "queue"), many(fleet_nodes.len() as u64, "node")),
        enqueue: match context.visitor.access() >= Access::Operate {
            true => context.link("/enqueue"),
            false => String::new(),
        },
        buttons: buttons(context, &fleet.value),
        notes: found,
        more_notes,
        numbers: numbers(context, &fleet.value, &past),
        charts: vec![charts::throughput(&past, &events), charts::waits(&past, &events)],
        queues: queues::table(context, &fleet.value, &history.value, "/"),
        errors: errors_table(context, &fleet.value, errors.as_ref().ok()),
        errors_about: errors_about(context, errors.as_ref().ok()),
        nodes: nodes::table(context, &fleet.value, &events.deploys),
        deploys: match nodes::deploys(fleet_nodes) {
            several @ 2.. => format!("{several} deploys in the fleet"),
            _ => String::new(),
        },
    };
    rendered(&part)
}

/// Returns the buttons of the whole fleet: queues are paused as long as one is not, and resumed as
/// long as one is.
fn buttons(context: &Context, fleet: &Fleet) -> Buttons {
    let queues = context.queues(fleet);
    let paused = queues.iter().filter(|view| view.paused.is_some()).count();
    let pause = (paused < queues.len()).then_some(Action::PauseAll);
    let resume = (paused > 0).then_some(Action::ResumeAll);
    let all = pause.into_iter().chain(resume);
    Buttons::of(context, &Subject::Fleet(vec![]), "/", all)
}

/// Returns the history of all queues that the visitor sees together.
fn visible(context: &Context, fleet: &Fleet, history: &History) -> Past {
    if context.queues(fleet).len() == fleet.queues.len() {
        return Past::of(history, Some(&history.total));
    }
    let seen = history.queues.iter().filter(|series| context.visitor.sees(&series.queue));
    Past::sum(history, seen)
}

fn numbers(context: &Context, fleet: &Fleet, past: &Past) -> Vec<Number> {
    let queues = context.queues(fleet);
    let rates: Vec<_> =
        queues.iter().filter_map(|view| fleet.rates.get(view.queue.as_str())).collect();
    let done = if rates.is_empty() {
        past.last_rate(|point| point.attempts.done)
    } else {
        rates.iter().map(|rate| rate.done).sum()
    };
    let done_values = past.rates(|point| point.attempts.done);
    let failed_values = past.rates(|point| point.attempts.failures());
    let failed = past.last().map_or(0.0, failures);
    let before = failures(&past.total);
    let waits = past.last().map(|point| point.wait).filter(|wait| wait.count > 0);
    let ready: u64 = queues.iter().map(|view| view.ready()).sum();
    let oldest = queues.iter().filter_map(|view| Some((view.oldest()?, view.queue.as_str()))).max();
    let running: u64 = queues.iter().map(|view| view.running()).sum();
    let slots: u64 = queues.iter().map(|view| queues::served(fleet, view).0).sum();
    // The jobs of a paused queue drain when it goes on.
    let flows: Vec<_> = queues.iter().filter(|view| view.paused.is_none()).collect();
    let rates: Vec<_> =
        flows.iter().filter_map(|view| fleet.rates.get(view.queue.as_str())).collect();
    let (drains, flow) = drains(flows.iter().map(|view| view.ready()).sum(), &rates);
    vec![
        Number {
            name: "Done",
            value: rate(done),
            unit: "/s".into(),
            about: format!("{} in the range", number(past.total.attempts.done)),
            tone: "",
            picture: area(&done_values, PICTURE, "Jobs done over the range"),
        },
        Number {
            name: "Failed",
            value: percent(failed),
            unit: String::new(),
            about: format!("{} over the range", percent(before)),
            tone: if failed >= 0.01 { "bad" } else { "" },
            picture: bars(&failed_values, PICTURE, "Failed attempts over the range"),
        },
        Number {
            name: "Wait for a slot, p95",
            value: waits.map_or(UNKNOWN.into(), |wait| micros(wait.p95)),
            unit: String::new(),
            about: waits.map_or_else(
                || "no job was claimed lately".into(),
                |wait| format!("p50 {}, p99 {}", micros(wait.p50), micros(wait.p99)),
            ),
            tone: "",
            picture: line(
                &past.values(|point| point.wait.p95),
                PICTURE,
                "l2",
                "Wait over the range",
            ),
        },
        Number {
            name: "Waiting",
            value: number(ready),
            unit: String::new(),
            about: oldest.map_or_else(
                || "none waits".into(),
                |(age, queue)| format!("oldest {}, in {queue}", span(age)),
            ),
            tone: "",
            picture: String::new(),
        },
        Number {
            name: "Running",
            value: number(running),
            unit: format!(" of {} slots", number(slots)),
            about: many(fleet.nodes.len() as u64, "node"),
            tone: "",
            picture: crate::show::meter(running as f64 / slots.max(1) as f64, (160, 6)),
        },
        Number {
            name: "Drains in",
            value: drains,
            unit: String::new(),
            about: flow,
            tone: "",
            picture: String::new(),
        },
    ]
}

/// Returns when all queues that are not paused are drained, and the rates in and out.
fn drains(ready: u64, rates: &[&crate::look::Rate]) -> (String, String) {
    if rates.is_empty() {
        return (UNKNOWN.into(), "known after a second look".into());
    }
    let mut flow = Flow::default();
    for rate in rates {
        flow.waiting += rate.flow.waiting;
        flow.done_per_second += rate.flow.done_per_second;
        flow.in_per_second += rate.flow.in_per_second;
    }
    flow.waiting = ready;
    let about = format!("{}/s out, {}/s in", rate(flow.done_per_second), rate(flow.in_per_second));
    let drains = match flow.drains() {
        Drain::In(time) => span(time),
        Drain::Never => "never".into(),
        _ => "now".into(),
    };
    (drains, about)
}

/// Says which errors the table has, and how many are muted.
fn errors_about(context: &Context, errors: Option<&Seen<Vec<ErrorGroup>>>) -> String {
    let groups = errors.map(|seen| seen.value.as_slice()).unwrap_or_default();
    let muted = groups.iter().filter(|it| it.is_muted() && context.visitor.sees(&it.sample.queue));
    match muted.count() {
        0 => "grouped, last hour".into(),
        count => format!("grouped, last hour; {} muted", many(count as u64, "group")),
    }
}

/// Returns the groups of equal errors of the last hour that are not muted, the most frequent first.
fn errors_table(context: &Context, fleet: &Fleet, errors: Option<&Seen<Vec<ErrorGroup>>>) -> Table {
    let columns = vec![
        Column::text("Message"),
        Column::number("Times"),
        Column::text("First seen"),
        Column::text("Last seen"),
    ];
    let mut table = Table::new("Errors of the last hour", columns).or("No error in the last hour.");
    let groups = errors.map(|seen| seen.value.as_slice()).unwrap_or_default();
    let seen = |group: &&ErrorGroup| {
        group.last_hour > 0 && !group.is_muted() && context.visitor.sees(&group.sample.queue)
    };
    let mut groups: Vec<&ErrorGroup> = groups.iter().filter(seen).collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.last_hour));
    for group in groups.into_iter().take(ERRORS) {
        let sample = &group.sample;
        let text = if sample.message.is_empty() {
            sample.cause.to_string()
        } else {
            sample.message.clone()
        };
        table.row([
            Cell::text(text)
                .after(format!(
                    "<br><span class=\"small faint\">{} in {}</span>",
                    escaped(&sample.kind),
                    escaped(&sample.queue)
                ))
                .class("cut mono"),
            Cell::count(group.last_hour),
            Cell::markup(crate::show::moment(group.first_seen, fleet.now)).class("small muted"),
            Cell::markup(crate::show::moment(group.last_seen, fleet.now)).class("small muted"),
        ]);
    }
    table
}
