//! The process that the user starts. It finds the files, runs the demo and checks the result.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::HumanCount;
use poolder::Result;
use poolder::prelude::*;
use tokio::signal::unix::{SignalKind, signal};

use crate::files::{self, Found};
use crate::report;
use crate::screen::Screen;
use crate::space::Space;
use crate::stage::{Played, Stage};
use crate::tally::Tally;

/// Runs the demo. Ctrl-C, SIGTERM and a closed terminal end it at any time. No process and no key
/// is left behind, unless the demo is watched: then a dashboard goes on to show its end.
pub(crate) async fn run(dir: Option<PathBuf>, is_watched: bool) -> Result<ExitCode> {
    let space = if is_watched { Space::watched() } else { Space::fresh() };
    let mut stop = std::pin::pin!(told_to_stop()?);
    // Dropping this future kills the processes it has started.
    let result = tokio::select! {
        result = demo(dir, &space) => Some(result),
        () = &mut stop => None,
    };
    // At Ctrl-C a private server may end before the signal arrives here, which makes the demo fail.
    // If a signal follows within 300 ms, that error is not reported.
    let moment = Duration::from_millis(300);
    let stopped = match &result {
        Some(Ok(_)) => false,
        Some(Err(_)) => tokio::time::timeout(moment, stop).await.is_ok(),
        None => true,
    };
    if stopped {
        // A private server has ended by now; on any other server the keys of the demo are removed.
        let _ = tokio::time::timeout(Duration::from_secs(2), space.clear()).await;
        // Not eprintln!, which panics when standard error is closed, as it is after the terminal
        // closed.
        let _ = writeln!(std::io::stderr(), "demo: stopped; the other processes are gone");
        // Exits at once instead of waiting for a blocking thread that may still count files.
        std::process::exit(130);
    }
    let cleared = if is_watched { Ok(()) } else { space.clear().await };
    let is_right = result.unwrap_or(Ok(false))?;
    cleared?;
    Ok(if is_right { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn told_to_stop() -> Result<impl Future<Output = ()>> {
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        }
    })
}

/// Runs the demo on `dir`. Returns true if the result is right.
async fn demo(dir: Option<PathBuf>, space: &Space) -> Result<bool> {
    let shown = dir.as_ref().map(|dir| dir.display().to_string());
    let found = tokio::task::spawn_blocking(move || files::find(dir.as_deref())).await??;
    introduce(shown.as_deref(), &found);
    // Connects only to report a missing server early and clearly.
    Client::from_env().await?;

    let files = Arc::new(found.files);
    let count = u64::try_from(files.len())?;
    let mut screen = Screen::new(count);
    let played = Stage::new(space.clone(), &mut screen, Arc::clone(&files)).await?.play().await;
    screen.close();
    let played = played?;

    let counted = Tally::of(space).await?.read().await?;
    eprintln!("counting the same files again, in one process and without a queue");
    let same = Arc::clone(&files);
    let start = Instant::now();
    let plain = tokio::task::spawn_blocking(move || report::plain_count(&same)).await??;
    let seconds = start.elapsed().as_secs_f32();
    let mut wrong = report::differences(&files, &counted, &plain);
    wrong.extend(complaints(&played));

    println!("\n{}", report::table(&counted));
    println!("{}", summary(&played));
    if wrong.is_empty() {
        println!(
            "Every file counts once: a plain count in one process ({seconds:.1} s) finds the same in all {}.",
            HumanCount(count)
        );
        return Ok(true);
    }
    for one in &wrong {
        println!("WRONG: {one}");
    }
    println!("(A file that changes meanwhile is counted differently, too.)");
    Ok(false)
}

fn introduce(dir: Option<&str>, found: &Found) {
    let count = HumanCount(found.files.len() as u64);
    match dir {
        Some(dir) => eprintln!("{count} files under {dir}"),
        None => eprintln!("{count} files in the sources of this workspace's dependencies"),
    }
    for (reason, (count, first)) in &found.left_out {
        eprintln!("left out: {} × {reason}, such as {}", HumanCount(*count), first.display());
    }
}

/// Returns the events that must not happen, even if the totals are right.
fn complaints(played: &Played) -> Vec<String> {
    let mut found = vec![];
    let progress = &played.progress;
    if progress.rescued() == 0 {
        found.push("no job was rescued, although a worker was killed that held some".into());
    }
    for (queue, counters) in [("files", progress.files), ("totals", progress.totals)] {
        if counters.buried + counters.cancelled > 0 {
            found.push(format!(
                "queue {queue}: {} jobs died, {} were cancelled",
                counters.buried, counters.cancelled
            ));
        }
    }
    found
}

fn summary(played: &Played) -> String {
    let Played { progress, rate, started, again } = played;
    let settled = progress.settled();
    // A retry after a failure is no second run of a completed job.
    let retried = progress.files.retried + progress.totals.retried;
    let twice = started.saturating_sub(settled + retried);
    let speed = match rate {
        Some(rate) => format!("{} jobs/s, time without work not counted", HumanCount(*rate)),
        None => "too few to say how many a second".into(),
    };
    format!(
        "{} jobs in three worker processes: {speed}.\n\
         {} were rescued from the killed one; {twice} ran twice, of which {again} had been added up \
         before.",
        HumanCount(settled),
        progress.rescued(),
    )
}
