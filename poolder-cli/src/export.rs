//! The command `poolder export`.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use poolder_client::Export;
use poolder_client::words::many;
use poolder_core::Error;
use poolder_core::view::KeptState;

use crate::args::Common;
use crate::failure::{Exit, Failure};
use crate::output::{Progress, Report};

/// The queues and jobs that are exported.
#[derive(Debug, Args)]
pub(crate) struct ExportArgs {
    /// The queues [default: all].
    #[arg(value_name = "QUEUE")]
    queues: Vec<String>,
    /// Only jobs of this state, and no schedules; may be given several times.
    #[arg(long = "state", value_name = "STATE")]
    states: Vec<State>,
    /// Write the lines to this file, which must not exist yet, in place of standard output.
    #[arg(long, value_name = "PATH")]
    file: Option<PathBuf>,
}

/// A state of jobs that are exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum State {
    /// Those that wait for a slot, and those that run.
    Ready,
    /// Those that wait for their time or for another attempt.
    Due,
    Dead,
}

impl From<State> for KeptState {
    fn from(state: State) -> Self {
        match state {
            State::Ready => Self::Ready,
            State::Due => Self::Due,
            State::Dead => Self::Dead,
        }
    }
}

/// Writes the lines as they are read.
pub(crate) async fn run(common: &Common, args: &ExportArgs) -> Result<Report, Failure> {
    let client = common.client().await?;
    let export = args.queues.iter().fold(client.export(), Export::queue);
    let export = args.states.iter().fold(export, |export, state| export.state((*state).into()));
    let (mut out, is_file): (BufWriter<Box<dyn Write + Send>>, bool) = match &args.file {
        Some(path) => {
            let made = File::create_new(path);
            let cannot = |why: io::Error| {
                Failure::not_understood(format!("{} cannot be created: {why}", path.display()))
            };
            (BufWriter::new(Box::new(made.map_err(cannot)?)), true)
        }
        None => (BufWriter::new(Box::new(io::stdout())), false),
    };
    let progress = Progress::new(0);
    let (mut lines, mut failed) = (0_u64, None);
    let done = export
        .write(|line| {
            lines += 1;
            if is_file && lines.is_multiple_of(100) {
                progress.show(lines);
            }
            writeln!(out, "{line}").map_err(|why| {
                let text = format!("the export cannot be written: {why}");
                failed = Some(why.kind());
                Error::invalid(text)
            })
        })
        .await;
    let flushed = out.flush();
    drop(progress);
    let is_closed = |kind: io::ErrorKind| kind == io::ErrorKind::BrokenPipe && !is_file;
    match (failed, flushed) {
        // A reader that closes its end early, as `head` does, is no failure.
        (Some(kind), _) if is_closed(kind) => return Ok(Report::written()),
        (Some(_), _) => {
            let text = done.err().map(|error| error.to_string()).unwrap_or_default();
            return Err(Failure::new(Exit::Failed, text));
        }
        (None, Err(why)) if !is_closed(why.kind()) => {
            return Err(Failure::new(Exit::Failed, format!("the export cannot be written: {why}")));
        }
        (None, _) => {}
    }
    let sums = done.map_err(|error| {
        Failure::from(error).if_not_found("`poolder queue ls` shows all queues")
    })?;
    let report = Report::written().note(format!(
        "exported {} and {} of {}",
        many(sums.jobs, "job"),
        many(sums.schedules, "schedule"),
        many(sums.queues, "queue")
    ));
    let more = [
        (sums.ran, "that ran: ready in the export, to run again once it is imported"),
        (sums.batches, "left out: for batches"),
        (sums.too_large, "left out: too large to be read"),
    ];
    let some = more.into_iter().filter(|(count, _)| *count > 0);
    Ok(some.fold(report, |report, (count, what)| {
        report.note(format!("{} {what}", many(count, "job")))
    }))
}
