//! The command `poolder import`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use clap::Args;
use poolder_client::words::many;
use poolder_client::{Client, Import, ImportReport};
use serde_json::json;

use crate::args::Common;
use crate::confirm::Confirm;
use crate::failure::{Exit, Failure};
use crate::output::{Progress, Report, number};

/// The most bytes of a line that are read.
const MAX_LINE: u64 = 9 << 20;

/// The lines that are imported.
#[derive(Debug, Args)]
pub(crate) struct ImportArgs {
    /// The file that `poolder export` has written; - is standard input.
    file: String,
    #[command(flatten)]
    confirm: Confirm,
}

pub(crate) async fn run(common: &Common, args: &ImportArgs) -> Result<Report, Failure> {
    let client = common.lazy_client()?;
    if args.file == "-" {
        let stdin = Box::new(io::stdin());
        if args.confirm.dry_run {
            return Ok(would(&import_from(client.import().dry_run(), stdin, 0).await?));
        }
        if !args.confirm.yes {
            let text = "standard input is imported as it is read, without a question before";
            return Err(Failure::new(Exit::Refused, text).hint("add --yes, or name a file"));
        }
        let client = common.client().await?;
        return Ok(done(&import_from(client.import(), stdin, 0).await?));
    }
    // The whole file is checked before anything is stored.
    let found = read(&client, &args.file, true, 0).await?;
    if args.confirm.dry_run {
        return Ok(would(&found));
    }
    let what = format!(
        "import {} and {} of {}",
        many(found.jobs, "job"),
        many(found.schedules, "schedule"),
        many(found.queues, "queue")
    );
    args.confirm.allow(found.jobs.saturating_add(found.schedules), &what).await?;
    let client = common.client().await?;
    Ok(done(&read(&client, &args.file, false, found.lines).await?))
}

async fn read(
    client: &Client,
    path: &str,
    dry_run: bool,
    lines: u64,
) -> Result<ImportReport, Failure> {
    let file = File::open(Path::new(path))
        .map_err(|why| Failure::not_understood(format!("{path} cannot be read: {why}")))?;
    let import = client.import();
    import_from(if dry_run { import.dry_run() } else { import }, Box::new(file), lines).await
}

/// Imports the lines of a source, of which there are so many, if this is known.
async fn import_from(
    mut import: Import,
    source: Box<dyn Read + Send>,
    lines: u64,
) -> Result<ImportReport, Failure> {
    let progress = (lines > 0).then(|| Progress::new(lines));
    let mut source = BufReader::new(source);
    let (mut line, mut seen) = (vec![], 0_u64);
    loop {
        line.clear();
        let read = source.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        read.map_err(|why| Failure::not_understood(format!("the lines cannot be read: {why}")))?;
        seen += 1;
        let text = String::from_utf8_lossy(&line);
        match text.strip_suffix('\n') {
            Some(text) => import.line(text).await?,
            None if line.len() as u64 >= MAX_LINE => import.line(&text).await?,
            None => {
                import.rest(&text).await?;
                return Ok(import.finish().await?);
            }
        }
        if let Some(progress) = progress.as_ref().filter(|_| seen.is_multiple_of(100)) {
            progress.show(seen);
        }
    }
}

fn would(report: &ImportReport) -> Report {
    let mut value = json!(report);
    value["would"] = "import".into();
    let line = format!(
        "this would import {} and {} of {}, but those that are there already",
        many(report.jobs, "job"),
        many(report.schedules, "schedule"),
        many(report.queues, "queue")
    );
    cut(Report::new(value).line(line), report)
}

fn done(report: &ImportReport) -> Report {
    let mut value = json!(report);
    value["done"] = "imported".into();
    let line = format!(
        "imported {} of {} and {} of {}, of {}",
        number(report.stored),
        many(report.jobs, "job"),
        number(report.schedules_stored),
        many(report.schedules, "schedule"),
        many(report.queues, "queue")
    );
    let shown = [
        (report.there, "left out: there already"),
        (report.key_is_held, "left out: another job holds the unique key"),
        (report.no_room, "left out: 16 jobs of the id are there"),
    ];
    let shown = shown.into_iter().filter(|(count, _)| *count > 0);
    let said = shown.fold(Report::new(value).line(line), |said, (count, what)| {
        said.note(format!("{} {what}", many(count, "job")))
    });
    cut(said, report)
}

/// Says that the end of the export is missing.
fn cut(said: Report, report: &ImportReport) -> Report {
    if !report.is_cut {
        return said;
    }
    let failure = Failure::new(
        Exit::CheckFailed,
        format!("the export was cut off behind line {}: its end is missing", report.lines),
    );
    said.failed(&failure.hint("import the whole export again: what is there is left out"))
}
