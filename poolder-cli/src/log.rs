//! The pages of a log of the namespace, and its new entries: shared by `audit` and `journal`.

use std::time::Duration;

use clap::Args;
use poolder_client::words::many;
use poolder_core::Error;
use poolder_core::history::{LogId, LogPage};

use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::output::{Report, write};

/// How often new entries are looked for.
const EVERY: Duration = Duration::from_secs(1);
/// The most entries of one look for new ones.
const FOLLOWED: usize = 500;

/// The part of a log that is shown.
#[derive(Debug, Args)]
pub(crate) struct Part {
    /// Only entries since this long ago: 1h, 8h, 7d.
    #[arg(long, value_name = "TIME", value_parser = poolder_cron::span)]
    pub(crate) since: Option<Duration>,
    /// The most entries that are shown.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=500))]
    limit: u16,
    /// Go on behind the page that ended with this entry.
    #[arg(long, value_name = "ENTRY", conflicts_with = "follow")]
    before: Option<LogId>,
    /// Show new entries as they are written, until the command is interrupted.
    #[arg(long)]
    follow: bool,
}

/// Shows a part of a log, the latest entry first. `read` reads a page of the entries after one, or
/// of all; `report` shows entries, each of which has the id that `id` returns.
pub(crate) async fn run<E>(
    common: &Common,
    part: &Part,
    read: impl AsyncFn(Option<LogId>, Option<LogId>, usize) -> Result<LogPage<E>, Error>,
    id: impl Fn(&E) -> LogId,
    report: impl Fn(&[E]) -> Report,
) -> Result<Report, Failure> {
    let page = read(None, part.before, part.limit.into()).await?;
    if part.follow {
        let mut last = page.entries.first().map(&id);
        // The latest entry stands at the end, where the next ones follow.
        let mut entries = page.entries;
        loop {
            entries.reverse();
            if !entries.is_empty() {
                show(common, &report(&entries))?;
            }
            tokio::time::sleep(EVERY).await;
            entries = read(last, None, FOLLOWED).await?.entries;
            last = entries.first().map(&id).or(last);
        }
    }
    let mut note = many(page.entries.len() as u64, "entry");
    if let Some(next) = page.next {
        note += &format!("; --before {next} goes on");
    }
    Ok(report(&page.entries).note(note))
}

/// Writes entries in the form that was asked for.
fn show(common: &Common, report: &Report) -> Result<(), Failure> {
    write(&report.show(common.form(), common.is_coloured())).map_err(|error| {
        Failure::new(Exit::Failed, format!("standard output cannot be written: {error}"))
    })
}
