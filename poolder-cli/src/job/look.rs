//! The commands that show jobs: get and wait; and the table of jobs.

use std::time::Duration;

use clap::Args;
use poolder_client::words::many;
use poolder_client::{Budget, Client, JobResult};
use poolder_core::view::{Cursor, JobView, Listing, Unreachable};
use poolder_core::{Handle, JobState};
use serde_json::{Value, json};

use super::target::{missing, resolve, seen};
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, cut, duration, moment, number, second};

use crate::select::Conditions;

/// The most characters of an error in a table.
const MAX_ERROR: usize = 60;

/// Returns the table of some jobs.
pub(crate) fn table(jobs: &[JobView]) -> Table {
    let mut table = Table::new(&["ID", "STATE", "KIND", "LANE", ">TRY", "AT", "NODE", "ERROR"]);
    for job in jobs {
        let error = job.failure().map_or(NOTHING.to_owned(), ToString::to_string);
        table.row([
            job.id().to_string().into(),
            state(job.state),
            job.kind().unwrap_or(NOTHING).into(),
            job.lane.as_str().into(),
            number(job.attempt().into()).into(),
            second(Some(job.at)).into(),
            job.node.as_deref().unwrap_or(NOTHING).into(),
            cut(&error, MAX_ERROR).into(),
        ]);
    }
    table
}

/// Returns the state of a job as a cell.
pub(crate) fn state(state: JobState) -> Cell {
    let tone = match state {
        JobState::Running | JobState::Completed => Tone::Good,
        JobState::Retrying | JobState::Cancelled => Tone::Warning,
        JobState::Dead => Tone::Bad,
        _ => Tone::Plain,
    };
    Cell::new(state.as_str()).tone(tone)
}

/// The jobs of a queue that are shown.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The queue.
    queue: String,
    /// The state of the jobs: ready, running, due, scheduled, retrying, dead or finished.
    #[arg(long, value_name = "STATE", default_value = "ready")]
    state: Listing,
    #[command(flatten)]
    page: PageOptions,
}

/// The dead jobs of a queue that are shown.
#[derive(Debug, Args)]
pub(crate) struct ListDead {
    /// The queue.
    queue: String,
    #[command(flatten)]
    page: PageOptions,
}

/// A page of a list, and the conditions for its jobs.
#[derive(Debug, Args)]
pub(crate) struct PageOptions {
    #[command(flatten)]
    conditions: Conditions,
    /// The most jobs that are shown.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Go on behind the page that ended with this cursor.
    #[arg(long)]
    cursor: Option<Cursor>,
}

/// The most jobs that one list looks at, and the longest time that it takes.
const LOOKED_AT: (u64, Duration) = (10_000, Duration::from_secs(2));

pub(super) async fn list(client: &Client, list: &List) -> Result<Report, Failure> {
    page(client, &list.queue, list.state, &list.page).await
}

pub(super) async fn list_dead(client: &Client, list: &ListDead) -> Result<Report, Failure> {
    page(client, &list.queue, Listing::Dead, &list.page).await
}

async fn page(
    client: &Client,
    queue: &str,
    listing: Listing,
    page: &PageOptions,
) -> Result<Report, Failure> {
    let queue = crate::queue::known(client, queue).await?;
    let budget = Budget::jobs(page.limit.into()).entries(LOOKED_AT.0).time(LOOKED_AT.1);
    let (filter, after) = (page.conditions.filter(), page.cursor.as_ref());
    let found = client.inspect(&queue).find_where(listing, &filter, after, budget).await?;
    let mut note = format!(
        "{} of {queue}, looked at {} of {}",
        many(found.jobs.len() as u64, &format!("{listing} job")),
        number(found.looked_at),
        number(found.of)
    );
    if let Some(next) = &found.next {
        note += &format!("; --cursor {next} goes on");
    }
    let report = Report::new(&found)
        .items("jobs")
        .ids(found.jobs.iter().map(|job| &job.handle))
        .table(table(&found.jobs))
        .note(note);
    let away = |report: Report, part: &Unreachable| {
        report.note(format!("{} could not be read: {}", part.partition, part.why))
    };
    Ok(found.unreachable.iter().fold(report, away))
}

pub(super) async fn get(client: &Client, text: &str) -> Result<Report, Failure> {
    let (handle, found) = seen(client, text).await?;
    let job = client.job(&handle);
    // A job that was found by its id has been read already.
    let view = match found {
        Some(view) => Some(view),
        None => job.view().await?,
    };
    match view {
        Some(view) => {
            let progress = job.progress().await?;
            Ok(stored(&view, progress))
        }
        None => ended(client, &handle).await,
    }
}

pub(super) async fn explain(client: &Client, text: &str) -> Result<Report, Failure> {
    let handle = resolve(client, text).await?;
    Ok(crate::explain::report(&client.job(&handle).explain().await?))
}

pub(super) async fn blast_radius(client: &Client, text: &str) -> Result<Report, Failure> {
    let handle = resolve(client, text).await?;
    let radius = client.job(&handle).blast_radius().await?;
    let jobs = radius.neighbours.iter().map(|neighbour| neighbour.job);
    Ok(Report::new(&radius).ids(jobs).lines(radius.to_string()))
}

/// Returns the facts about a job that is stored.
pub(crate) fn facts(view: &JobView, progress: Option<(u64, u64)>) -> Vec<(String, Cell)> {
    let at = match view.state {
        JobState::Running => "runs since",
        JobState::Dead => "died at",
        JobState::Scheduled | JobState::Retrying => "due at",
        JobState::Completed | JobState::Cancelled => "ended at",
        _ => "waits since",
    };
    let policy = view.policy();
    let mut facts: Vec<(&str, Cell)> = vec![
        ("job", view.id().to_string().into()),
        ("handle", view.handle.to_string().into()),
        ("kind", view.kind().unwrap_or(NOTHING).into()),
        ("state", state(view.state)),
        (at, moment(view.at).into()),
        ("lane", view.lane.as_str().into()),
        ("attempt", format!("{} of {}", view.attempt(), policy.attempts).into()),
    ];
    if let Some(group) = view.group() {
        facts.push(("group", group.into()));
    }
    if let Some(at) = view.expires_at() {
        facts.push(("expires at", moment(at).into()));
    }
    if view.cancelling {
        facts.push(("cancelling", Cell::new("it is asked to stop").tone(Tone::Warning)));
    }
    if let Some(node) = &view.node {
        facts.push(("node", node.into()));
    }
    if let Some(end) = &view.end {
        facts.push(("took", duration(end.took).into()));
        facts.extend(end.reason.as_ref().map(|reason| ("reason", reason.into())));
    }
    if let Some((done, total)) = progress {
        facts.push(("progress", format!("{} of {}", number(done), number(total)).into()));
    }
    if view.counters.crashes > 0 {
        let crashes = number(view.counters.crashes.into());
        facts.push(("crashes", Cell::new(crashes).tone(Tone::Bad)));
    }
    if let Some(failure) = view.failure() {
        facts.push(("error", Cell::new(failure.to_string()).tone(Tone::Bad)));
    }
    facts.extend(view.headers().iter().map(|(name, value)| (name, value.into())));
    match view.payload_json() {
        Ok(payload) => facts.push(("payload", payload.to_string().into())),
        Err(error) => facts.push(("payload", Cell::new(error.to_string()).tone(Tone::Bad))),
    }
    facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Returns the report of a job that is stored.
fn stored(view: &JobView, progress: Option<(u64, u64)>) -> Report {
    let mut attempts = Table::new(&["ENDED", "HOW", ">TOOK", "NODE", "ERROR"]);
    for attempt in view.attempts() {
        let error = view.kind().map(|kind| attempt.error(kind).to_string());
        attempts.row([
            second(Some(attempt.at)).into(),
            attempt.cause.to_string().into(),
            duration(attempt.took).into(),
            attempt.node.into(),
            error.unwrap_or(NOTHING.to_owned()).into(),
        ]);
    }
    let mut value = json!(view);
    value["progress"] = json!(progress);
    let report =
        Report::new(value).ids([&view.handle]).table(Table::of_pairs(facts(view, progress)));
    match attempts.is_empty() {
        true => report,
        false => report.lines("\nattempts that failed:\n").table(attempts),
    }
}

/// Returns the report of a job that has ended and left a record.
async fn ended(client: &Client, handle: &Handle) -> Result<Report, Failure> {
    let result: JobResult<Value> = client.job(handle).result().await?;
    let (state, about) = match &result {
        JobResult::Value(value) => (JobState::Completed, ("result", value.to_string())),
        JobResult::NoValue => (JobState::Completed, ("result", NOTHING.to_owned())),
        JobResult::Dead(failure) => (JobState::Dead, ("error", failure.to_string())),
        JobResult::Cancelled(reason) => (JobState::Cancelled, ("reason", reason.clone())),
        _ => return Err(missing(&handle.to_string())),
    };
    let value = json!({ "handle": handle, "id": handle.job, "state": state, "result": result });
    let facts = [
        ("job", handle.job.to_string().into()),
        ("state", self::state(state)),
        (about.0, about.1.into()),
    ];
    Ok(Report::new(value).ids([handle]).table(Table::of_pairs(facts)))
}

/// The time of a wait without `--timeout`.
const WITHOUT_LIMIT: Duration = Duration::from_secs(365 * 86_400);

pub(super) async fn wait(
    client: &Client,
    text: &str,
    limit: Option<Duration>,
) -> Result<Report, Failure> {
    let handle = resolve(client, text).await?;
    let job = client.job(&handle);
    if job.state().await?.is_none() {
        return Err(missing(&handle.to_string()));
    }
    let result = match job.wait::<Value>().timeout(limit.unwrap_or(WITHOUT_LIMIT)).await {
        Ok(value) => Some(value),
        Err(error) if error.is_no_result() => None,
        Err(error) => return Err(error.into()),
    };
    let line = result.as_ref().map_or("done".to_owned(), Value::to_string);
    let value = json!({ "handle": handle, "id": handle.job, "state": JobState::Completed, "result": result });
    Ok(Report::new(value).ids([&handle]).line(line))
}
