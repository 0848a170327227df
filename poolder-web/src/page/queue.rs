//! The page of a queue: its numbers, its jobs by state, and what more slots would change.

use askama::Template;
use axum::extract::Path;
use axum::response::Response;
use futures_util::future::join_all;
use poolder_client::Budget;
use poolder_core::QueueName;
use poolder_core::history::HistoryPoint;
use poolder_core::view::{Cursor, Filter, Listing, QueueView};

use super::answer::{answer, rendered};
use super::bulk::{Bar, bar};
use super::change::{self, Buttons};
use super::frame::{Frame, as_of};
use super::listing::{self, Facets, PAGE, Tab};
use super::overview::{Number, PICTURE};
use super::views::{self, Views};
use super::{charts, nodes, queues};
use crate::look::{Fleet, Past, failures};
use crate::request::{Context, Fault, encoded};
use crate::show::{
    Cell, Chart, Column, Table, UNKNOWN, area, bars, icon, line, many, micros, number, percent,
    rate, span,
};

/// The numbers of a queue, which change.
#[derive(Debug, Template)]
#[template(path = "parts/queue.html")]
struct QueuePart {
    as_of: String,
    away: String,
    numbers: Vec<Number>,
    lanes: Table,
    what_if: Table,
}

#[derive(Debug, Template)]
#[template(path = "queue.html")]
struct QueuePage {
    frame: Frame,
    queue: String,
    buttons: Buttons,
    /// The pages about parts of the queue.
    links: Vec<(&'static str, String)>,
    bar: Option<Bar>,
    views: Views,
    queues_link: String,
    state: String,
    state_tone: &'static str,
    state_icon: String,
    about: String,
    part: String,
    charts: Vec<Chart>,
    tabs: Vec<Tab>,
    listing: String,
    filter: String,
    filter_error: String,
    table: Table,
    looked: String,
    /// The links to the other pages of the listing.
    more: Vec<(String, String)>,
    facets: Vec<Facets>,
    link: String,
}

/// Answers with the page of a queue.
pub(crate) async fn queue(context: Context, Path(queue): Path<String>) -> Response {
    let page = page(&context, &queue).await;
    answer(&context, page).await
}

fn view<'a>(fleet: &'a Fleet, queue: &str) -> Result<&'a QueueView, Fault> {
    let found = fleet.queues.iter().find(|view| view.queue.as_str() == queue);
    found.ok_or_else(|| Fault::not_found(format!("There is no queue {queue}.")))
}

async fn page(context: &Context, name: &str) -> Result<QueuePage, Fault> {
    let queue = QueueName::new(name)?;
    context.must_see(queue.as_str())?;
    let looks = &context.shared.looks;
    let (fleet, history, events) =
        tokio::join!(looks.fleet(), looks.history(context.range()), looks.events());
    let (fleet, history) = (fleet?, history?);
    let view = view(&fleet.value, name)?;
    let path = format!("/queues/{name}");
    let frame = Frame::new(context, name, "/queues", Some(&fleet)).await;
    let frame = frame.with_ranges(context, &path).live(context, &format!("/queue/{name}"));
    let past = Past::of(&history.value, history.value.queues.iter().find(|it| it.queue == name));
    let counts = |listing| listing::count(view, listing);
    let chosen = listing::chosen(context, counts);
    let (filter, filter_error) = filter(context);
    let link = format!("{}?", context.link(&path));
    let here = format!("{link}state={chosen}");
    let after = context.query("cursor").parse::<Cursor>().ok();
    let inspector = context.shared.client.inspect(&queue);
    let search = inspector.find_where(chosen, &filter, after.as_ref(), Budget::jobs(PAGE));
    let (views, found) = tokio::join!(views::saved(context), search);
    let found = found?;
    let with = format!("{here}&where={}", encoded(&filter.to_string()));
    let mut more = vec![];
    if after.is_some() {
        more.push(("First page".to_owned(), with.clone()));
    }
    if let Some(next) = &found.next {
        let name = if filter.is_any() { "Next page" } else { "Search on" };
        more.push((name.to_owned(), format!("{with}&cursor={}", encoded(&next.to_string()))));
    }
    let (state, state_tone, state_icon) = state(view, &fleet.value);
    let bar = bar(context, (Some(name), chosen, counts(chosen)), &filter);
    Ok(QueuePage {
        frame,
        queue: name.to_owned(),
        buttons: change::of_queue(
            context,
            &queue,
            (view.paused.is_some(), view.dead > 0, view.partitions.len() > 1),
        ),
        table: listing::table(context, &found.jobs, (chosen, false, bar.is_some()), view.now),
        bar,
        links: links(context, view),
        views,
        queues_link: context.link("/queues"),
        state,
        state_tone,
        state_icon: icon(state_icon),
        about: about(view, &fleet.value),
        part: queue_part(context, name).await?,
        charts: vec![charts::throughput(&past, &events), charts::waits(&past, &events)],
        tabs: listing::tabs(chosen, &link, counts),
        listing: chosen.to_string(),
        filter: context.query("where").to_owned(),
        filter_error,
        looked: listing::looked(&found, &filter),
        more,
        facets: listing::facets(&found.jobs, &filter, &here),
        link: context.link(&path),
    })
}

/// Returns the filter of the query, or the reason why it is none.
pub(super) fn filter(context: &Context) -> (Filter, String) {
    match context.query("where").parse() {
        Ok(filter) => (filter, String::new()),
        Err(error) => (Filter::any(), error.to_string()),
    }
}

fn state(view: &QueueView, fleet: &Fleet) -> (String, &'static str, &'static str) {
    match (view.paused, queues::served(fleet, view).1) {
        (Some(_), _) => ("paused".into(), "warn", "pause"),
        (None, 0) => ("no node serves it".into(), "bad", "errors"),
        (None, _) => ("runs".into(), "ok", "running"),
    }
}

fn links(context: &Context, view: &QueueView) -> Vec<(&'static str, String)> {
    let queue = &view.queue;
    let slots = ("Slots", context.link(&format!("/pools/{queue}")));
    let keys = ("Unique jobs", context.link(&format!("/queues/{queue}/keys")));
    let groups = ("Groups", context.link(&format!("/queues/{queue}/groups")));
    let is_addressed = view.partitions.len() > 1;
    let all = [is_addressed.then_some(slots), Some(keys), (!is_addressed).then_some(groups)];
    all.into_iter().flatten().collect()
}

fn about(view: &QueueView, fleet: &Fleet) -> String {
    let (slots, nodes) = queues::served(fleet, view);
    let kind = match view.partitions.len() {
        0 | 1 => "shared".to_owned(),
        slots => format!("addressed, {slots} slots"),
    };
    let led = view.leader.as_ref().map(|it| format!(", led by {}", nodes::short(&it.node)));
    let led = led.unwrap_or_default();
    format!("{kind}, {}, {}{led}", many(nodes, "node"), many(slots, "slot"))
}

/// Returns the numbers of a queue.
pub(crate) async fn queue_part(context: &Context, name: &str) -> Result<String, Fault> {
    context.must_see(name)?;
    let looks = &context.shared.looks;
    let (fleet, history) = tokio::join!(looks.fleet(), looks.history(context.range()));
    let (fleet, history) = (fleet?, history?);
    let view = view(&fleet.value, name)?;
    let past = Past::of(&history.value, history.value.queues.iter().find(|it| it.queue == name));
    let part = QueuePart {
        as_of: as_of(&fleet),
        away: super::frame::away(&fleet),
        numbers: numbers(view, &fleet.value, &past),
        lanes: lanes(view),
        what_if: what_if(view, &fleet.value, &past),
    };
    rendered(&part)
}

fn numbers(view: &QueueView, fleet: &Fleet, past: &Past) -> Vec<Number> {
    let known = fleet.rates.get(view.queue.as_str());
    let done = known.map_or_else(|| past.last_rate(|point| point.attempts.done), |it| it.done);
    let comes = known.map_or(UNKNOWN.into(), |it| rate(it.flow.in_per_second));
    let failed = past.last().map_or(0.0, failures);
    let (run, wait) = (past.total.run, past.total.wait);
    let of = |count: u64, value: u64| if count > 0 { micros(value) } else { UNKNOWN.into() };
    let quantiles = |it: poolder_core::history::TimeStats| match it.count {
        0 => "nothing was measured".into(),
        _ => format!("p50 {}, p99 {}", micros(it.p50), micros(it.p99)),
    };
    let (slots, _) = queues::served(fleet, view);
    let (drains, tone) = queues::drains(view, known);
    let oldest =
        view.oldest().map_or("none waits".into(), |age| format!("oldest waits {}", span(age)));
    let done_of: fn(&HistoryPoint) -> u64 = |point| point.attempts.done;
    vec![
        Number {
            name: "Done",
            value: rate(done),
            unit: "/s".into(),
            about: format!("{comes}/s come in"),
            tone: "",
            picture: area(&past.rates(done_of), PICTURE, "Jobs done over the range"),
        },
        Number {
            name: "Failed",
            value: percent(failed),
            unit: String::new(),
            about: format!("{} over the range", percent(failures(&past.total))),
            tone: if failed >= 0.01 { "bad" } else { "" },
            picture: bars(&past.rates(|it| it.attempts.failures()), PICTURE, "Failed attempts"),
        },
        Number {
            name: "Run time, p95",
            value: of(run.count, run.p95),
            unit: String::new(),
            about: quantiles(run),
            tone: "",
            picture: line(&past.values(|it| it.run.p95), PICTURE, "l2", "Run time over the range"),
        },
        Number {
            name: "Wait, p95",
            value: of(wait.count, wait.p95),
            unit: String::new(),
            about: quantiles(wait),
            tone: "",
            picture: line(&past.values(|it| it.wait.p95), PICTURE, "l2", "Wait over the range"),
        },
        Number {
            name: "Running",
            value: number(view.running()),
            unit: format!(" of {}", number(slots)),
            about: oldest,
            tone: "",
            picture: crate::show::meter(view.running() as f64 / slots.max(1) as f64, (160, 6)),
        },
        Number {
            name: "Drains in",
            value: drains,
            unit: String::new(),
            about: many(view.ready(), "job") + " wait",
            tone,
            picture: String::new(),
        },
    ]
}

fn lanes(view: &QueueView) -> Table {
    let columns = vec![
        Column::text("Lane"),
        Column::number("Waiting"),
        Column::number("Running"),
        Column::number("Oldest"),
    ];
    let mut table = Table::new("Lanes", columns).or("All lanes are empty.");
    for lane in view.lanes.iter().filter(|lane| lane.ready + lane.running > 0) {
        let oldest = lane.oldest.map_or(UNKNOWN.into(), |oldest| span(view.now.since(oldest)));
        table.row([
            Cell::text(lane.lane.as_str()),
            Cell::count(lane.ready),
            Cell::count(lane.running),
            Cell::text(oldest),
        ]);
    }
    if view.grouped > 0 {
        let unknown = || Cell::text(UNKNOWN);
        table.row([Cell::text("groups"), Cell::count(view.grouped), unknown(), unknown()]);
    }
    table
}

/// Returns when the queue would be drained with other numbers of slots, from the measured run time.
fn what_if(view: &QueueView, fleet: &Fleet, past: &Past) -> Table {
    let columns = vec![Column::text("Slots"), Column::number("Drained in")];
    let mut table = Table::new("With other slots", columns)
        .or("Known when jobs wait and their run time was measured.");
    let (slots, _) = queues::served(fleet, view);
    let Some(known) = fleet.rates.get(view.queue.as_str()) else { return table };
    if view.ready() == 0 || slots == 0 {
        return table;
    }
    let mut flow = known.flow;
    if past.total.run.count > 0 {
        flow.mean_run = Some(std::time::Duration::from_micros(past.total.run.mean));
    }
    if flow.mean_run.is_none_or(|mean| mean.is_zero()) {
        return table;
    }
    let mut all = vec![slots, slots * 3 / 2, slots * 2, slots * 3 / 4];
    all.dedup();
    for slots in all.into_iter().filter(|slots| *slots > 0) {
        let with = flow.with_slots(slots);
        let drains = with.drains();
        let grows = with.in_per_second - with.done_per_second;
        let cell = match drains {
            poolder_client::Drain::Never => {
                Cell::text(format!("never, grows by {}/s", rate(grows))).class("bad")
            }
            other => Cell::text(other.to_string()),
        };
        table.row([Cell::text(many(slots, "slot")), cell]);
    }
    if let Some(wanted) = flow.slots_wanted(std::time::Duration::from_secs(60)) {
        table.row([Cell::text(format!("{} are needed", number(wanted))), Cell::text("1 min")]);
    }
    table
}

/// Returns the queues that have jobs of a listing, those with the most first.
pub(super) fn with_jobs<'a>(queues: &[&'a QueueView], listing: Listing) -> Vec<&'a QueueView> {
    let mut found: Vec<&QueueView> =
        queues.iter().copied().filter(|view| listing::count(view, listing) > 0).collect();
    found.sort_by_key(|view| std::cmp::Reverse(listing::count(view, listing)));
    found
}

/// Searches several queues at once.
pub(super) async fn search_all(
    context: &Context,
    queues: &[&QueueView],
    listing: Listing,
    filter: &Filter,
    each: usize,
) -> Vec<(QueueName, Result<poolder_client::Matches, poolder_core::Error>)> {
    let all = queues.iter().map(|view| async {
        let inspector = context.shared.client.inspect(&view.queue);
        let budget = Budget::jobs(each).entries(2_000);
        (view.queue.clone(), inspector.find_where(listing, filter, None, budget).await)
    });
    join_all(all).await
}
