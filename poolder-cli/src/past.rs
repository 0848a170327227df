//! The commands `poolder history` and `poolder queue history`.

use std::time::Duration;

use clap::Args;
use poolder_client::Client;
use poolder_core::history::{History, HistoryPoint, HistoryRange};

use crate::args::Common;
use crate::failure::Failure;
use crate::output::{Cell, NOTHING, Report, Table, Tone, count, duration, second};

/// The time that is looked back.
#[derive(Debug, Args)]
pub(crate) struct Range {
    /// How far to look back: 1h, 8h, 7d.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = poolder_cron::span)]
    pub(crate) since: Duration,
}

/// The kinds whose history is shown.
#[derive(Debug, Args)]
pub(crate) struct Past {
    /// Only the kinds of this queue.
    #[arg(long)]
    queue: Option<String>,
    /// Only this kind.
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    range: Range,
}

/// The kinds of one queue whose history is shown.
#[derive(Debug, Args)]
pub(crate) struct PastOfQueue {
    /// The queue.
    queue: String,
    /// Only this kind.
    #[arg(long)]
    kind: Option<String>,
    #[command(flatten)]
    range: Range,
}

/// Shows how many attempts of each kind ended in which way, and how long they waited and ran.
pub(crate) async fn history(common: &Common, past: &Past) -> Result<Report, Failure> {
    let client = common.client().await?;
    let (queue, kind) = (past.queue.as_deref(), past.kind.as_deref());
    let history = client.history(queue, kind, HistoryRange::last(past.range.since)).await?;
    let mut table = Table::new(&[&["QUEUE", "KIND"], POINT].concat());
    for series in &history.series {
        let name = [(&series.queue).into(), (&series.kind).into()];
        table.row(name.into_iter().chain(point(&series.total)));
    }
    Ok(shown(&history, table))
}

/// Shows the same of one queue for each period of the range.
pub(crate) async fn history_of_queue(
    client: &Client,
    past: &PastOfQueue,
) -> Result<Report, Failure> {
    let queue = crate::queue::known(client, &past.queue).await?;
    let (kind, range) = (past.kind.as_deref(), HistoryRange::last(past.range.since));
    let history = client.history(Some(queue.as_str()), kind, range).await?;
    let mut points: Vec<(&HistoryPoint, &str)> = vec![];
    for series in &history.series {
        points.extend(series.points.iter().map(|point| (point, series.kind.as_str())));
    }
    points.sort_by_key(|(point, kind)| (point.at, *kind));
    let mut table = Table::new(&[&["FROM", "KIND"], POINT].concat());
    for (of, kind) in points {
        let name = [second(Some(of.at)).into(), kind.into()];
        table.row(name.into_iter().chain(point(of)));
    }
    Ok(shown(&history, table))
}

/// The heads of the cells of [`point`].
const POINT: &[&str] = &[">DONE", ">FAILED", ">DIED", ">WAIT95", ">RUN50", ">RUN95", ">RUN MAX"];

fn point(point: &HistoryPoint) -> [Cell; 7] {
    let HistoryPoint { attempts, died, run, wait, .. } = point;
    let failed = Cell::new(count(attempts.failures()));
    [
        count(attempts.done).into(),
        if attempts.failures() > 0 { failed.tone(Tone::Bad) } else { failed },
        count(*died).into(),
        time(wait.count, wait.p95).into(),
        time(run.count, run.p50).into(),
        time(run.count, run.p95).into(),
        time(run.count, run.max).into(),
    ]
}

/// Returns the report of a history.
fn shown(history: &History, table: Table) -> Report {
    let ids = history.series.iter().map(|series| format!("{}/{}", series.queue, series.kind));
    let report = Report::new(history).items("series").ids(ids);
    let report = match history.is_cut {
        true => report.note("there are more kinds than are kept: some are left out"),
        false => report,
    };
    match table.is_empty() {
        true => report.note("no attempts in this time; nodes write their counts once a minute"),
        false => report.table(table),
    }
}

/// Returns a time in microseconds, a dash where nothing was measured.
fn time(measured: u64, micros: u64) -> String {
    if measured == 0 { NOTHING.to_owned() } else { duration(Duration::from_micros(micros)) }
}
