//! The worker of the plain jobs. It behaves as its job says, badly if need be, and records the
//! begin and the end of each run.

use std::fmt;
use std::future::{Future, pending};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Result};

use super::{Book, Page};
use crate::bad::Bad;
use crate::job::{Act, Step};
use crate::ledger::{Ended, Record};

/// The time for which [`Bad::Blocks`] blocks its thread.
const BLOCKED: Duration = Duration::from_millis(200);
/// One call in this many of a callback that may hang never returns.
const HANGS: u32 = 4;
/// The time between two tries of a cancellation.
const PAUSE: Duration = Duration::from_millis(100);

/// A worker of a slot.
pub(super) struct StepWorker {
    process: Arc<Process>,
    /// True while a handler runs: still true at the begin of the next one when the worker was
    /// dropped half-way and not replaced.
    half_way: bool,
    /// The record of a run whose `handle_error` will not return.
    unjudged: Option<Unfinished>,
}

/// What all workers of a process share.
struct Process {
    book: Arc<Book>,
    /// Callbacks that concern no job sometimes never return.
    hangs: bool,
    callbacks: AtomicU32,
    /// The number of `Clone` calls that are still to panic.
    clone_bombs: AtomicU32,
    /// The number of slots that may go on with a half-changed worker, as its `Clone` panicked.
    excused: AtomicU32,
}

impl StepWorker {
    pub(super) fn new(book: Arc<Book>, hangs: bool) -> Self {
        let process = Process {
            book,
            hangs,
            callbacks: AtomicU32::new(0),
            clone_bombs: AtomicU32::new(0),
            excused: AtomicU32::new(0),
        };
        Self { process: Arc::new(process), half_way: false, unjudged: None }
    }

    /// Notes the begin of a handler, and that the last one had come to its end.
    fn begin(&mut self, job: &Step) {
        if std::mem::replace(&mut self.half_way, true) && !take_one(&self.process.excused) {
            self.process.book.write(Record::Broken {
                promise: "a half-changed worker was used".into(),
                example: format!("for job {}", job.seq),
            });
        }
    }

    /// Returns at once, or never.
    async fn callback(&self) {
        if self.process.hangs && self.process.callbacks.fetch_add(1, Relaxed).is_multiple_of(HANGS)
        {
            pending::<()>().await;
        }
    }
}

/// Takes one of a number, if there is one left.
fn take_one(of: &AtomicU32) -> bool {
    of.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok()
}

impl Clone for StepWorker {
    fn clone(&self) -> Self {
        if take_one(&self.process.clone_bombs) {
            self.process.excused.fetch_add(1, Relaxed);
            panic!("this clone fails");
        }
        Self { process: Arc::clone(&self.process), half_way: false, unjudged: None }
    }
}

impl Worker for StepWorker {
    type Job = Step;

    async fn handle_pool_ready(&mut self) {
        self.callback().await;
    }

    async fn handle_hibernate(&mut self) {
        self.callback().await;
    }

    async fn handle_stop(&mut self) {
        self.callback().await;
    }

    fn handle_job(
        &mut self,
        job: Step,
        cx: Context,
    ) -> impl Future<Output = Result<Outcome>> + Send {
        self.begin(&job);
        let book = Arc::clone(&self.process.book);
        let run = book.next();
        let (id, attempt, fence) = (cx.id().to_string(), cx.attempt(), cx.fence());
        book.write(Record::Start { run, seq: job.seq, job: id, attempt, fence });
        let mut page = Page::new(book, run);
        if job.act == Act::Bad(Bad::EarlyPanic) && attempt == 1 {
            page.end(Ended::Failed);
            drop(page);
            panic!("before the future exists");
        }
        async move {
            let outcome = match job.act {
                Act::Bad(bad) => self.misbehave(bad, &cx, page).await,
                _ => behave(&job, &cx, page).await,
            };
            self.half_way = false;
            outcome
        }
    }

    fn handle_error(
        &mut self,
        job: Step,
        _: Context,
        _: &BoxError,
    ) -> impl Future<Output = Verdict> + Send {
        self.begin(&job);
        assert!(job.act != Act::Bad(Bad::JudgePanics), "before the verdict exists");
        async move {
            // Dropped at the deadline of the callback, or when the node loses the job.
            let _unjudged = self.unjudged.take();
            let verdict = match job.act {
                Act::Bad(Bad::JudgeHangs) => pending().await,
                Act::Bad(Bad::TimeoutBomb | Bad::ErrorBomb) => Verdict::Halt,
                Act::Bad(Bad::RetriesAtOnce) => Verdict::RetryNow,
                _ => Verdict::Policy,
            };
            self.half_way = false;
            verdict
        }
    }
}

async fn behave(job: &Step, cx: &Context, mut page: Page) -> Result<Outcome> {
    let (attempt, fence) = (cx.attempt(), cx.fence());
    let pause = tokio::time::sleep(Duration::from_millis(job.millis));
    // Half of the handlers return when they are cancelled, the others finish if they can.
    if job.seq.is_multiple_of(2) {
        tokio::select! {
            () = pause => {}
            () = cx.cancelled() => {
                page.end(Ended::Cancelled);
                return Err("told to stop".into());
            }
        }
    } else {
        pause.await;
    }
    let (how, outcome) = match job.act {
        Act::Killer => std::process::abort(),
        Act::Fail(times) if attempt <= times => (Ended::Failed, Err("not yet".into())),
        Act::Doomed => (Ended::Failed, Err("never".into())),
        Act::Panic if attempt == 1 => {
            page.end(Ended::Failed);
            panic!("once");
        }
        Act::Snooze if fence == 1 => (Ended::Snoozed, Ok(Snooze(Duration::from_millis(200)))),
        Act::Cancel => (Ended::Done, Ok(Cancel("it says so".into()))),
        Act::Result => (Ended::Done, Ok(Outcome::result(&job.seq)?)),
        _ => (Ended::Done, Ok(Done)),
    };
    page.end(how);
    outcome
}

impl StepWorker {
    async fn misbehave(&mut self, bad: Bad, cx: &Context, mut page: Page) -> Result<Outcome> {
        match bad {
            Bad::TimeoutBomb => {
                let _bomb = Bomb(Unfinished { cx: cx.clone(), page });
                return pending().await;
            }
            Bad::CancelBomb => {
                let mut bomb = Bomb(Unfinished { cx: cx.clone(), page });
                let own = cx.client().job(cx.id().in_queue(cx.queue()));
                while own.cancel().await.is_err() {
                    tokio::time::sleep(PAUSE).await;
                }
                bomb.0.page.end(Ended::Done);
                return pending().await;
            }
            Bad::ErrorBomb => {
                page.end(Ended::Failed);
                return Err(Awkward::Explodes.into());
            }
            Bad::RetriesAtOnce => {
                page.end(Ended::Failed);
                return Err("again".into());
            }
            Bad::Blocks => std::thread::sleep(BLOCKED),
            _ => {}
        }
        if cx.attempt() > 1 || matches!(bad, Bad::Blocks) {
            page.end(Ended::Done);
            return Ok(Done);
        }
        if bad == Bad::JudgeHangs {
            self.unjudged = Some(Unfinished { cx: cx.clone(), page });
            return Err("the first time".into());
        }
        page.end(Ended::Failed);
        match bad {
            Bad::PayloadBomb => std::panic::panic_any(Awkward::Explodes),
            Bad::DisplayPanics => Err(Awkward::Panics.into()),
            Bad::DisplayFails => Err(Awkward::Fails.into()),
            Bad::ClonePanics => {
                self.process.clone_bombs.fetch_add(1, Relaxed);
                panic!("and the next clone panics, too");
            }
            Bad::Runtime => {
                drop(tokio::runtime::Runtime::new()?);
                Err("a runtime could be dropped".into())
            }
            _ => Err("the first time".into()),
        }
    }
}

/// The record of a run that ends when this is dropped: the run has failed, unless it was
/// interrupted.
struct Unfinished {
    cx: Context,
    page: Page,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if self.cx.interruption().is_none() {
            self.page.end(Ended::Failed);
        }
    }
}

/// Panics when it is dropped.
struct Bomb(Unfinished);

impl Drop for Bomb {
    fn drop(&mut self) {
        panic!("the drop of a future panics");
    }
}

/// An error, and the payload of a panic, with an awkward `Display` or `Drop`.
#[derive(Debug)]
enum Awkward {
    Fails,
    Panics,
    Explodes,
}

impl fmt::Display for Awkward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fails => Err(fmt::Error),
            Self::Panics => panic!("the display of an error panics"),
            Self::Explodes => f.write_str("careful"),
        }
    }
}

impl std::error::Error for Awkward {}

impl Drop for Awkward {
    fn drop(&mut self) {
        if matches!(self, Self::Explodes) && !std::thread::panicking() {
            panic!("the drop of an error panics");
        }
    }
}
