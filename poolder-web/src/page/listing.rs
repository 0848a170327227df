//! The table of jobs of a listing, its tabs, its filter and its facets.

use std::collections::BTreeMap;

use poolder_client::Matches;
use poolder_core::view::{Filter, JobView, Listing, QueueView};
use poolder_core::{JobState, Timestamp};

use super::frame::short;
use crate::request::{Context, encoded};
use crate::show::{
    Cell, Column, Table, cut, escaped, icon, many, meter, moment, number, span, time_element,
};

/// The number of jobs on a page.
pub(super) const PAGE: usize = 50;

/// The listings that have a tab.
pub(super) const TABS: [Listing; 6] = [
    Listing::Ready,
    Listing::Running,
    Listing::Scheduled,
    Listing::Retrying,
    Listing::Dead,
    Listing::Finished,
];

/// A tab of a page of jobs.
#[derive(Debug)]
pub(crate) struct Tab {
    pub(crate) name: &'static str,
    pub(crate) icon: String,
    pub(crate) link: String,
    pub(crate) count: String,
    pub(crate) tone: &'static str,
    pub(crate) is_here: bool,
}

/// Parts of the shown jobs that have something in common.
#[derive(Debug)]
pub(crate) struct Facets {
    pub(crate) title: &'static str,
    pub(crate) rows: Vec<Facet>,
}

#[derive(Debug)]
pub(crate) struct Facet {
    pub(crate) name: String,
    pub(crate) count: String,
    pub(crate) bar: String,
    pub(crate) link: String,
}

/// Returns the number of jobs of a listing.
pub(super) fn count(view: &QueueView, listing: Listing) -> u64 {
    match listing {
        Listing::Ready => view.ready(),
        Listing::Running => view.running(),
        Listing::Scheduled => view.due.saturating_sub(view.retrying),
        Listing::Retrying => view.retrying,
        Listing::Dead => view.dead,
        Listing::Finished => view.finished,
        _ => view.due,
    }
}

/// Returns the listing of the query; the first of the tabs that has jobs when it names none.
pub(super) fn chosen(context: &Context, counts: impl Fn(Listing) -> u64) -> Listing {
    let named = context.query("state").parse().ok();
    let first = || TABS.into_iter().find(|listing| counts(*listing) > 0);
    named.or_else(first).unwrap_or(Listing::Ready)
}

/// Returns the tabs of a page.
pub(super) fn tabs(here: Listing, link: &str, counts: impl Fn(Listing) -> u64) -> Vec<Tab> {
    let tab = |listing: Listing| {
        let (name, tone) = match listing {
            Listing::Ready => ("Ready", ""),
            Listing::Running => ("Running", ""),
            Listing::Scheduled => ("Scheduled", ""),
            Listing::Retrying => ("Retrying", ""),
            Listing::Finished => ("Finished", ""),
            _ => ("Dead", "bad"),
        };
        let count = counts(listing);
        Tab {
            name,
            icon: icon(match listing {
                Listing::Finished => "completed",
                other => other.as_str(),
            }),
            link: format!("{link}state={listing}"),
            count: number(count),
            tone: if count > 0 { tone } else { "" },
            is_here: listing == here,
        }
    };
    TABS.map(tab).into()
}

/// Returns the link to a job.
pub(super) fn job_link(context: &Context, job: &JobView) -> String {
    context.link(&format!("/job/{}", job.handle))
}

/// Returns the table of some jobs: with their queues when they are of several, and with a tick to
/// choose each of them for a change of several jobs.
pub(super) fn table(
    context: &Context,
    jobs: &[JobView],
    (listing, queues, ticks): (Listing, bool, bool),
    now: Timestamp,
) -> Table {
    let time = match listing {
        Listing::Ready => "Waits for",
        Listing::Running => "Runs for",
        Listing::Retrying => "Next try",
        Listing::Dead => "Died",
        Listing::Finished => "Ended",
        _ => "Due",
    };
    let has_errors = matches!(listing, Listing::Retrying | Listing::Dead);
    let mut columns = vec![];
    if ticks {
        columns.push(Column::text("Choose").class("pick").unseen());
    }
    columns.extend([Column::text("Job"), Column::text("Kind")]);
    if queues {
        columns.push(Column::text("Queue"));
    }
    columns.extend([
        Column::text("Payload").class("w-pay"),
        Column::text("Attempt"),
        Column::number(time),
    ]);
    if has_errors {
        columns.push(Column::text("Last error").class("w-err"));
    }
    columns.push(Column::text("Node"));
    let mut table = Table::new("Jobs", columns).or("No job was found.");
    for job in jobs {
        let mut row = vec![];
        if ticks {
            row.push(tick("job", &job.handle.to_string(), &short(job.id())));
        }
        row.extend([id(context, job), kind(job)]);
        if queues {
            let queue = job.handle.partition.queue.as_str();
            row.push(Cell::text(queue).link(context.link(&format!("/queues/{queue}"))));
        }
        row.push(Cell::payload(job, |payload| context.redact(job, payload)));
        row.push(attempt(job));
        row.push(at(job, listing, now));
        if has_errors {
            let failure = job.failure().map_or_else(String::new, |failure| failure.message.clone());
            row.push(Cell::text(cut(&failure, 200)).class("cut mono bad"));
        }
        row.push(
            Cell::known(super::nodes::short(job.node.as_deref().unwrap_or_default()))
                .class("muted"),
        );
        table.row(row);
    }
    table
}

/// Returns the tick that chooses a row for a change of several: the name and the value of its field,
/// and the name of the row.
pub(super) fn tick(field: &str, value: &str, name: &str) -> Cell {
    let (value, name) = (escaped(value), escaped(name));
    Cell::markup(format!(
        "<input type=\"checkbox\" name=\"{field}\" form=\"bulk\" value=\"{value}\" \
         aria-label=\"Choose {name}\">"
    ))
}

fn id(context: &Context, job: &JobView) -> Cell {
    Cell::text(short(job.id())).link(job_link(context, job)).class("mono job")
}

fn kind(job: &JobView) -> Cell {
    let mut cell = Cell::text(job.kind().unwrap_or("not a job"));
    if job.lane.as_str() != "normal" {
        cell.after = format!(" <span class=\"tag\">{}</span>", escaped(job.lane.as_str()));
    }
    if job.cancelling { cell.chip("no", "is stopped", "warn") } else { cell }
}

fn attempt(job: &JobView) -> Cell {
    let (attempt, most) = (job.attempt(), job.policy().attempts.max(1));
    Cell::text(attempt.to_string())
        .before(meter(f64::from(attempt) / f64::from(most), (32, 4)))
        .after(format!(" <span class=\"faint\">of {most}</span>"))
        .class("cell")
}

fn at(job: &JobView, listing: Listing, now: Timestamp) -> Cell {
    Cell::markup(match listing {
        Listing::Ready | Listing::Running => time_element(job.at, &span(now.since(job.at))),
        _ if job.waits_behind() => escaped("behind another job"),
        _ => moment(job.at, now),
    })
}

/// Returns the sentence that says how far a search has looked.
pub(super) fn looked(found: &Matches, filter: &Filter) -> String {
    let (shown, of) = (many(found.jobs.len() as u64, "job"), number(found.of));
    let away: String = found
        .unreachable
        .iter()
        .map(|part| format!(" {} could not be read: {}.", part.partition, part.why))
        .collect();
    if filter.is_any() {
        return format!("{shown} of {of}.{away}");
    }
    let looked_at = number(found.looked_at);
    format!("{shown} found; searched {looked_at} of {of}.{away}")
}

/// Returns what the shown jobs have in common: their errors, kinds and attempts.
pub(super) fn facets(jobs: &[JobView], filter: &Filter, link: &str) -> Vec<Facets> {
    let add = |term: String| {
        let filter = filter.to_string();
        let text = if filter.is_empty() { term } else { format!("{filter} {term}") };
        format!("{link}&where={}", encoded(&text))
    };
    let errors = jobs.iter().filter_map(|job| {
        let failure = job.failure()?;
        Some((cut(&failure.message, 60), Filter::any().error(job.error()?).to_string()))
    });
    let kinds = jobs.iter().filter_map(|job| {
        Some((job.kind()?.to_owned(), Filter::any().kind(job.kind()?).to_string()))
    });
    let attempts = jobs
        .iter()
        .filter(|job| matches!(job.state, JobState::Retrying | JobState::Dead))
        .map(|job| (format!("attempt {}", job.attempt()), format!("attempt={}", job.attempt())));
    [("By error", grouped(errors)), ("By kind", grouped(kinds)), ("By attempt", grouped(attempts))]
        .into_iter()
        .filter(|(_, groups)| !groups.is_empty())
        .map(|(title, groups)| {
            let most = groups.iter().map(|(.., count)| *count).max().unwrap_or(1);
            let row = |(name, term, count): (String, String, u64)| Facet {
                name,
                count: number(count),
                bar: meter(count as f64 * 0.89 / most as f64, (200, 4)),
                link: add(term),
            };
            Facets { title, rows: groups.into_iter().take(6).map(row).collect() }
        })
        .collect()
}

/// Returns the groups of equal terms, the largest first.
fn grouped(all: impl Iterator<Item = (String, String)>) -> Vec<(String, String, u64)> {
    let mut groups = BTreeMap::<String, (String, u64)>::new();
    for (name, term) in all {
        groups.entry(term).or_insert((name, 0)).1 += 1;
    }
    let mut groups: Vec<_> =
        groups.into_iter().map(|(term, (name, count))| (name, term, count)).collect();
    groups.sort_by(|a, b| b.2.cmp(&a.2).then_with(|| a.0.cmp(&b.0)));
    groups
}
