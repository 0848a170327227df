//! One slot: it owns a clone of each worker and runs one job at a time, from decoding the payload
//! to deciding the settlement.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::Settlement;
use poolder_core::policy::Pauses;
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::{BoxError, Cause, Failure, Outcome, Policy};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::context::{Context, Interruption, past};
use super::engine::Engine;
use super::erased::DynWorker;
use super::events::{JobEvent, emit};
use super::guard::guarded;
use super::mailbox::{Mailbox, SlotEvent, Work};
use super::middleware::Next;

/// How long an interrupted handler may still run before its future is dropped.
const GRACE: Duration = Duration::from_millis(250);
/// How long the handler of a cancelled job may still run before its future is dropped. Longer than
/// [`GRACE`], since no shutdown waits for it.
const CANCEL_GRACE: Duration = Duration::from_secs(3);

/// A slot runs this many jobs in a row before it yields to other tasks. The runtime itself forces a
/// yield after 128 steps of a task.
const MAX_JOBS_IN_A_ROW: u32 = 16;

/// The first and the longest wait between two calls of a failing `handle_init`.
const FIRST_INIT_WAIT: Duration = Duration::from_millis(500);
const LONGEST_INIT_WAIT: Duration = Duration::from_secs(30);

pub(crate) struct Slot {
    index: usize,
    engine: Arc<Engine>,
    mailbox: Arc<Mailbox>,
    /// One clone of each worker; empty while the slot hibernates.
    workers: Vec<Box<dyn DynWorker>>,
    /// Set when the outcome of the current job stops the slot or the pool.
    stopping: Option<Scope>,
}

/// The extent of a stop that the outcome of a job asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scope {
    Slot,
    Pool,
}

impl Slot {
    /// Starts a slot and returns the sender of its work. The slot ends when the sender is dropped.
    pub(crate) fn spawn(
        index: usize,
        engine: &Arc<Engine>,
        mailbox: &Arc<Mailbox>,
        tasks: &mut JoinSet<()>,
    ) -> mpsc::Sender<Work> {
        let (inbox, work) = mpsc::channel(1);
        let (engine, mailbox) = (Arc::clone(engine), Arc::clone(mailbox));
        let workers = engine.spec.all_fresh();
        tasks.spawn(Self { index, engine, mailbox, workers, stopping: None }.run(work));
        inbox
    }

    /// Runs work until the pool drops the sender, or a job stops the slot.
    async fn run(mut self, mut work: mpsc::Receiver<Work>) {
        if !self.init_all(closed(&work)).await {
            return;
        }
        let mailbox = Arc::clone(&self.mailbox);
        mailbox.push_event(SlotEvent::Idle(self.index));
        while let Some(first) = self.next(&mut work).await {
            let (mut next, mut in_a_row) = (Some(first), 0);
            while let Some(job) = next {
                let key = (job.claim.lane, job.claim.entry.clone());
                let settlement = report_waiting(self.attempt(job), &mailbox).await;
                let stopping = self.stopping.take();
                if stopping == Some(Scope::Slot) {
                    tracing::info!(
                        queue = %self.engine.spec.queue, slot = self.index, "a job stops the slot"
                    );
                    // Closed before the event is pushed, so that the claimer no longer counts on
                    // this slot.
                    work.close();
                }
                next = if work.is_closed() {
                    mailbox.push_event(SlotEvent::Finished(self.index, key, settlement));
                    None
                } else {
                    mailbox.finish(self.index, key, settlement)
                };
                if stopping == Some(Scope::Pool) {
                    tracing::info!(queue = %self.engine.spec.queue, "a job stops the pool");
                    self.engine.spec.stop.notify_one();
                }
                // Other tasks run in between, however many jobs are left. The slot yields here
                // before the runtime forces it to yield inside an attempt, which would look as if
                // the handler waited.
                in_a_row += 1;
                if in_a_row == MAX_JOBS_IN_A_ROW {
                    in_a_row = 0;
                    tokio::task::yield_now().await;
                }
            }
        }
        for worker in &mut self.workers {
            if let Err(panic) = guarded(worker.stop()).await {
                tracing::error!(
                    queue = %self.engine.spec.queue, slot = self.index, panic, "handle_stop panicked"
                );
            }
        }
    }

    /// Returns the next job; `None` when the sender was dropped. After `hibernate_after` without a
    /// job, the workers hibernate.
    async fn next(&mut self, work: &mut mpsc::Receiver<Work>) -> Option<Work> {
        if let Some(idle) = self.engine.spec.hibernate_after.filter(|_| !self.workers.is_empty()) {
            match tokio::time::timeout(idle, work.recv()).await {
                Ok(next) => return next,
                Err(_) => self.hibernate().await,
            }
        }
        work.recv().await
    }

    async fn hibernate(&mut self) {
        for mut worker in std::mem::take(&mut self.workers) {
            if let Err(panic) = guarded(worker.hibernate()).await {
                tracing::error!(
                    queue = %self.engine.spec.queue, slot = self.index, panic, "handle_hibernate panicked"
                );
            }
        }
    }

    /// Runs the job until its settlement is decided: more than once when it is to run again at
    /// once. Returns `None` when the node has lost the job meanwhile.
    async fn attempt(&mut self, work: Work) -> Option<Settlement> {
        if self.workers.is_empty() && !self.wake(&work.cx).await {
            let ending = given_up(work.cx.interruption()?)?;
            return Some(self.engine.unstarted(work, ending));
        }
        let Work { claim, mut cx, owner, history } = work;
        let policy = self.engine.spec.policy(&claim.envelope);
        let mut counters = claim.counters.clone();
        loop {
            emit(cx.partition(), JobEvent::Started(&cx));
            let ending = self.run_once(&claim, &policy, &cx).await?;
            emit(cx.partition(), JobEvent::Ended(&cx, &ending));
            let transition = self.engine.decide(&policy, &counters, ending);
            let Transition::RunAgain(next) = transition else {
                let settlement = Settlement::new(claim, owner, history, transition);
                let effects = cx.take_effects();
                let settlement = effects.into_iter().fold(settlement, Settlement::with_effect);
                // A careful settlement removes the cancellation as well, however the attempt ended.
                let cancelled = cx.interruption() == Some(Interruption::Cancelled);
                return Some(if cancelled { settlement.carefully() } else { settlement });
            };
            cx = cx.next_attempt(next.failures + 1, policy.timeout);
            counters = next;
        }
    }

    /// Runs one attempt; when it fails, asks the worker's `handle_error` for a verdict.
    async fn run_once(
        &mut self,
        claim: &poolder_core::Claim,
        policy: &Policy,
        cx: &Context,
    ) -> Option<Ending> {
        let spec = Arc::clone(&self.engine.spec);
        let Some(at) = spec.kinds.get(claim.envelope.kind()).copied() else {
            return Some(Ending::UnknownKind);
        };
        let raw = claim.envelope.raw_job();
        let next = Next { chain: &spec.chain, worker: self.workers[at].as_mut(), raw };
        let attempt = async {
            match guarded(next.run(cx.clone())).await {
                Ok(Ok(Outcome::Callbacks(callbacks))) => {
                    let called = spec.sinks.call(spec.queue.as_str(), &callbacks).await;
                    Ok(called.map(|()| Outcome::Done))
                }
                other => other,
            }
        };
        let error = tokio::select! {
            biased;
            result = attempt => match result {
                Ok(Ok(outcome)) => return Some(Ending::Outcome(self.note(outcome))),
                Ok(Err(error)) => error,
                Err(panic) => {
                    self.replace(at).await;
                    Failure::new(Cause::Panic, panic).into()
                }
            },
            () = past(cx.deadline()) => {
                let limit = policy.timeout.unwrap_or_default();
                Failure::new(Cause::Timeout, format!("took longer than {limit:?}")).into()
            }
            why = interrupted(cx) => return given_up(why),
        };
        if let Some(why) = cx.interruption() {
            // The handler failed after it was interrupted. This is no failure of the job.
            return given_up(why);
        }
        let failure = failure_of(&error);
        let judge = self.workers[at].judge(raw, cx.clone(), &error);
        let verdict = match guarded(judge).await {
            Ok(verdict) => verdict,
            Err(panic) => {
                tracing::error!(job = %cx.id(), kind = cx.kind(), panic, "handle_error panicked");
                self.replace(at).await;
                poolder_core::Verdict::Policy
            }
        };
        emit(cx.partition(), JobEvent::Failed(cx, &failure, verdict));
        Some(Ending::Failed(failure, verdict))
    }

    /// Notes whether an outcome stops the slot or the pool.
    fn note(&mut self, outcome: Outcome) -> Outcome {
        match outcome {
            Outcome::StopSlot => self.stopping = Some(Scope::Slot),
            Outcome::StopPool => self.stopping = Some(Scope::Pool),
            _ => {}
        }
        outcome
    }

    /// Creates and initializes workers after hibernation; false when the job was interrupted
    /// meanwhile.
    async fn wake(&mut self, cx: &Context) -> bool {
        self.workers = self.engine.spec.all_fresh();
        let cx = cx.clone();
        let awake = self.init_all(async move { cx.cancelled().await }).await;
        if !awake {
            self.workers.clear();
        }
        awake
    }

    /// Calls `handle_init` of every worker. A failing call is repeated, first after 500 ms, then
    /// after twice the wait each time, up to 30 s. Returns false when `unwanted` ends before all
    /// calls have succeeded.
    async fn init_all(&mut self, unwanted: impl Future<Output = ()>) -> bool {
        tokio::pin!(unwanted);
        for at in 0..self.workers.len() {
            let mut waits = Pauses::new(FIRST_INIT_WAIT, LONGEST_INIT_WAIT);
            while let Err(error) = self.init(at).await {
                let wait = waits.after_failure();
                tracing::error!(
                    queue = %self.engine.spec.queue, slot = self.index, error, retry_in = ?wait,
                    "handle_init failed, the slot takes no job yet"
                );
                tokio::select! {
                    () = tokio::time::sleep(wait) => {}
                    () = &mut unwanted => return false,
                }
            }
        }
        true
    }

    async fn init(&mut self, at: usize) -> Result<(), String> {
        match guarded(self.workers[at].init()).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(panic) => Err(panic),
        }
    }

    /// Replaces a panicked worker, whose state may be inconsistent, with a fresh one. An error of
    /// its `handle_init` is only logged.
    async fn replace(&mut self, at: usize) {
        self.workers[at] = self.engine.spec.fresh(at);
        if let Err(error) = self.init(at).await {
            tracing::error!(
                queue = %self.engine.spec.queue, slot = self.index, error,
                "handle_init failed after a panic"
            );
        }
    }
}

/// Runs an attempt, and tells the mailbox once when the handler waits for something.
async fn report_waiting<T>(attempt: impl Future<Output = T>, mailbox: &Mailbox) -> T {
    let (mut attempt, mut reported) = (std::pin::pin!(attempt), false);
    std::future::poll_fn(|cx| {
        let polled = attempt.as_mut().poll(cx);
        if polled.is_pending() && !std::mem::replace(&mut reported, true) {
            mailbox.handler_waits();
        }
        polled
    })
    .await
}

/// Ends when the sender of the slot's work was dropped. It checks at intervals: a slot that cannot
/// start has no work to receive.
async fn closed(work: &mpsc::Receiver<Work>) {
    while !work.is_closed() {
        tokio::time::sleep(GRACE).await;
    }
}

/// Ends when the handler was interrupted and its grace period has passed.
async fn interrupted(cx: &Context) -> Interruption {
    cx.cancelled().await;
    let why = cx.interruption().unwrap_or(Interruption::Shutdown);
    tokio::time::sleep(if why == Interruption::Cancelled { CANCEL_GRACE } else { GRACE }).await;
    why
}

/// Returns how an interrupted attempt ends; `None` when the node has lost the job.
fn given_up(why: Interruption) -> Option<Ending> {
    match why {
        Interruption::Shutdown => Some(Ending::Released),
        Interruption::Lost => None,
        Interruption::Cancelled => Some(Ending::Cancelled),
    }
}

/// Returns the failure that a handler gave as its error, or makes one of the error's text.
fn failure_of(error: &BoxError) -> Failure {
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.clone(),
        None => Failure::new(Cause::Error, error.to_string()),
    }
}
