//! One slot: it owns a clone of each worker and runs one job at a time, from decoding the payload
//! to deciding the settlement.

#[cfg(feature = "testing")]
mod alone;

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use poolder_core::broker::Settlement;
use poolder_core::history::AttemptEnd;
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::{BoxError, Cause, Failure, Limited, Outcome, Verdict};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;
use tracing::Instrument;

use super::attempt_stop::{AttemptStop, attempt_stop, given_up, interrupted, interruption};
use super::context::{Context, Interruption};
use super::engine::{Engine, Ran};
use super::events::JobEvent;
use super::guard::{discard, guarded, logged, text_of};
use super::handler_wait::{HandlerWait, report_waiting};
use super::mailbox::{Mailbox, SlotEvent, Work};
use super::middleware::Next;
use super::slot_workers::SlotWorkers;
use super::span;
#[cfg(feature = "otel")]
use super::trace_style::follow;
use super::turn::Turn;
use super::unique_start::free_key;
use crate::process::activity::BusyFlag;
use crate::process::limits::RESTART_PAUSE;

/// How often a slot that cannot start looks whether it is still wanted.
const CHECK: Duration = Duration::from_millis(250);

/// How long `handle_hibernate` may go on when the next job has arrived.
const HIBERNATE_GRACE: Duration = Duration::from_secs(1);

/// One slot: it runs one job at a time.
pub(crate) struct Slot {
    engine: Arc<Engine>,
    mailbox: Arc<Mailbox>,
    workers: SlotWorkers,
    /// The job that runs.
    current: Option<Work>,
    /// Set when the outcome of the current job stops the slot or the pool.
    stopping: Option<Scope>,
    index: usize,
    busy: BusyFlag,
    /// Measures the attempts.
    turn: Turn,
    /// True once the mailbox knows that the slot is ready.
    announced: bool,
    /// True for a slot that runs each job once, also where it would run the job again at once.
    once: bool,
    /// The jitter of all retries; `None` for a random one each.
    jitter: Option<f64>,
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
        tasks.spawn(Self::new(index, engine, mailbox).run(work));
        inbox
    }

    fn new(index: usize, engine: &Arc<Engine>, mailbox: &Arc<Mailbox>) -> Self {
        Self {
            engine: Arc::clone(engine),
            mailbox: Arc::clone(mailbox),
            workers: SlotWorkers::new(Arc::clone(&engine.spec), index),
            current: None,
            stopping: None,
            index,
            busy: engine.activity.add_slot(engine.spec.queue.as_str()),
            turn: Turn::new(Instant::now()),
            announced: false,
            once: false,
            jitter: None,
        }
    }

    /// Runs work until the pool drops the sender, or a job stops the slot. User code is guarded
    /// where it is called; should a panic come through all the same, the job of the slot fails, and
    /// the slot goes on with new workers.
    async fn run(mut self, mut work: mpsc::Receiver<Work>) {
        while let Err(panic) = guarded(|| Box::pin(self.serve(&mut work))).await {
            self.busy.set(false);
            logged(|| {
                tracing::error!(
                    queue = %self.engine.spec.queue, slot = self.index, panic,
                    "a slot panicked and is restarted"
                );
            });
            self.workers.spoil_all();
            if let Some(work) = self.current.take() {
                let key = (work.claim.lane, work.claim.entry.clone());
                let ending = Ending::Failed(Failure::new(Cause::Panic, panic), Verdict::Policy);
                let settlement = self.engine.unstarted(work, ending);
                self.mailbox.push_event(SlotEvent::Finished(self.index, key, Some(settlement)));
            }
            tokio::time::sleep(RESTART_PAUSE).await;
        }
    }

    async fn serve(&mut self, work: &mut mpsc::Receiver<Work>) {
        if !self.workers.fill(closed(work)).await {
            return;
        }
        let mailbox = Arc::clone(&self.mailbox);
        if !std::mem::replace(&mut self.announced, true) {
            mailbox.push_event(SlotEvent::Idle(self.index));
        }
        while let Some(first) = self.next(work).await {
            let mut next = Some(first);
            self.busy.set(true);
            self.turn.begin(Instant::now());
            while let Some(job) = next {
                let key = (job.claim.lane, job.claim.entry.clone());
                self.current = Some(job);
                let ended = self.turn.len();
                let (settlement, wait) = {
                    let attempt = pin!(self.attempt());
                    report_waiting(attempt, &mailbox, ended > 0).await
                };
                self.current = None;
                if let HandlerWait::Since(time) = wait {
                    mailbox.measure(|samples| self.turn.waited(ended, time, samples));
                }
                let stopping = self.stopping.take();
                if stopping == Some(Scope::Slot) {
                    tracing::info!(
                        queue = %self.engine.spec.queue, slot = self.index, "a job stops the slot"
                    );
                    // Closed before the event, so that the claimer no longer counts on this slot.
                    work.close();
                }
                let is_turn_over = self.turn.is_full();
                next = if work.is_closed() {
                    mailbox.measure(|samples| self.turn.close(Instant::now(), samples));
                    mailbox.push_event(SlotEvent::Finished(self.index, key, settlement));
                    None
                } else {
                    let measured = is_turn_over || wait != HandlerWait::None;
                    mailbox.finish(self.index, key, settlement, &mut self.turn, measured)
                };
                if stopping == Some(Scope::Pool) {
                    tracing::info!(queue = %self.engine.spec.queue, "a job stops the pool");
                    self.engine.spec.stop.notify_one();
                }
                // Other tasks run in between, however many jobs are left. The slot yields here
                // before the runtime forces it to yield inside an attempt, which would look as if
                // the handler waited.
                if is_turn_over {
                    tokio::task::yield_now().await;
                }
            }
            self.busy.set(false);
        }
        self.workers.stop().await;
    }

    /// Returns the next job; `None` when the sender was dropped. After `hibernate_after` without a
    /// job, the workers hibernate.
    async fn next(&mut self, work: &mut mpsc::Receiver<Work>) -> Option<Work> {
        let idle = self.engine.spec.hibernate_after;
        if let Some(idle) = idle.filter(|_| !self.workers.are_hibernating()) {
            if let Ok(next) = tokio::time::timeout(idle, work.recv()).await {
                return next;
            }
            let arrived = {
                let hibernate = self.workers.hibernate();
                tokio::pin!(hibernate);
                tokio::select! {
                    () = &mut hibernate => None,
                    next = work.recv() => {
                        // The job waits for the callbacks of all workers together.
                        let _ = tokio::time::timeout(HIBERNATE_GRACE, hibernate).await;
                        Some(next)
                    }
                }
            };
            self.workers.discard_all();
            if let Some(next) = arrived {
                return next;
            }
        }
        work.recv().await
    }

    /// Runs the current job until its settlement is decided: more than once when it is to run again
    /// at once. Returns `None` when the node has lost the job meanwhile.
    async fn attempt(&mut self) -> Option<Settlement> {
        let mut cx = self.current.as_ref()?.cx.clone().in_slot(self.index);
        let mut counters = self.current.as_ref()?.claim.counters_at_start();
        if !self.workers.are_ready() {
            let engine = &self.engine;
            let unwanted = async { _ = interruption(&cx, engine).await };
            if !self.workers.fill(unwanted).await {
                let ending = given_up(cx.interruption()?)?;
                return self.current.take().map(|work| self.engine.unstarted(work, ending));
            }
        }
        if self.engine.has_expired(&self.current.as_ref()?.claim) {
            let work = self.current.take()?;
            self.engine.events.emit(cx.partition(), JobEvent::Expired(&work.claim));
            return Some(self.engine.unstarted(work, Ending::Expired));
        }
        free_key(&self.engine, &cx, &self.current.as_ref()?.claim).await;
        loop {
            self.engine.events.emit(cx.partition(), JobEvent::Started(&cx));
            let span = span::process(&cx);
            #[cfg(feature = "otel")]
            follow(&span, &cx, self.engine.spec.trace_style);
            let ending = if span.is_disabled() {
                self.run_once(&cx).await
            } else {
                // Boxed, so that an attempt without a span does not carry a second future.
                Box::pin(self.run_once(&cx)).instrument(span.clone()).await
            };
            let Some(ending) = ending else {
                self.engine.events.emit(cx.partition(), JobEvent::Lost(&cx));
                return None;
            };
            let kind = self.current.as_ref()?.kind;
            self.turn.ended(kind, AttemptEnd::of(&ending));
            let node = &self.current.as_ref()?.owner;
            let ran = Ran { node, cx: &cx, jitter: self.jitter };
            let transition = self.engine.decide(cx.policy(), &counters, ending, Some(ran));
            span::ended(&span, &transition);
            self.engine.events.emit(cx.partition(), JobEvent::Ended(&cx, &transition));
            match transition {
                Transition::RunAgain(next) if !self.once => {
                    cx = cx.next_attempt(&next);
                    counters = next;
                    if self.turn.is_full() {
                        self.mailbox.measure(|samples| self.turn.close(Instant::now(), samples));
                    }
                    // A job that fails at once would otherwise leave the thread to no other task.
                    tokio::task::yield_now().await;
                }
                transition => {
                    cx.flush_progress().await;
                    let Work { claim, owner, history, .. } = self.current.take()?;
                    let finished = self.engine.finished(&claim, &transition, (&cx, &owner));
                    let settlement = Settlement::new(claim, owner, history, transition);
                    let settlement = finished.into_iter().fold(settlement, Settlement::keeping);
                    let settlement = settlement.labelled(kind.label());
                    let effects = cx.take_effects();
                    let settlement = effects.into_iter().fold(settlement, Settlement::with_effect);
                    // A careful settlement removes the cancellation as well, however the attempt
                    // ended.
                    let cancelled = cx.interruption() == Some(Interruption::Cancelled);
                    return Some(if cancelled { settlement.carefully() } else { settlement });
                }
            }
        }
    }

    /// Runs one attempt; when it fails, asks the worker's `handle_error` for a verdict.
    async fn run_once(&mut self, cx: &Context) -> Option<Ending> {
        if let Some(why) = cx.interruption() {
            return given_up(why);
        }
        let spec = &self.engine.spec;
        let Work { claim, worker: at, .. } = self.current.as_ref()?;
        let (raw, at) = (claim.envelope.raw_job(), *at);
        let worker = self.workers.get(at)?;
        let next = Next { chain: &spec.chain, worker, raw };
        let attempt = async {
            match guarded(|| next.boxed(cx.clone())).await {
                Ok(Ok(Outcome::Callbacks(callbacks))) => {
                    let called = spec.sinks.call(spec.queue.as_str(), &callbacks).await;
                    Ok(called.map(|()| Outcome::Done))
                }
                Ok(Ok(outcome)) => Ok(outcome.bounded().map_err(Into::into)),
                other => other,
            }
        };
        let end = {
            let mut attempt = pin!(attempt);
            // Made once the handler waits: one that returns at once needs neither timer nor watcher.
            let mut stop = None;
            poll_fn(|task| match attempt.as_mut().poll(task) {
                Poll::Ready(result) => Poll::Ready(Ok(result)),
                Poll::Pending => stop
                    .get_or_insert_with(|| Box::pin(attempt_stop(cx, &self.engine)))
                    .as_mut()
                    .poll(task)
                    .map(Err),
            })
            .await
        };
        let ended = match end {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(panic)) => Err(Failure::new(Cause::Panic, panic)),
            Err(AttemptStop::Late) => {
                let limit = cx.policy().timeout.unwrap_or_default();
                Err(Failure::new(Cause::Timeout, format!("took longer than {limit:?}")))
            }
            Err(AttemptStop::Interrupted(why)) => {
                self.workers.spoil(at);
                return given_up(why);
            }
        };
        let ended = match ended {
            Ok(result) => result,
            Err(half_way) => {
                self.workers.spoil(at);
                Err(half_way.into())
            }
        };
        let error = match ended {
            Ok(outcome) => return Some(Ending::Outcome(self.note(outcome))),
            Err(error) => match error.downcast_ref::<Limited>() {
                Some(limited) => return Some(Ending::Outcome(Outcome::Limited(*limited))),
                None => error,
            },
        };
        if let Some(why) = cx.interruption() {
            // The handler failed after it was interrupted. This is no failure of the job.
            discard(error);
            return given_up(why);
        }
        let failure = failure_of(&error);
        let verdict = tokio::select! {
            biased;
            verdict = self.workers.judge(at, raw, cx, &error) => Ok(verdict),
            why = interrupted(cx, &self.engine) => Err(why),
        };
        discard(error);
        let verdict = match verdict {
            Ok(verdict) => verdict,
            Err(why) => {
                self.workers.spoil(at);
                return given_up(why);
            }
        };
        self.engine.events.emit(cx.partition(), JobEvent::Failed(cx, &failure, verdict));
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
}

/// Ends when the sender of the slot's work was dropped. It checks at intervals: a slot that cannot
/// start has no work to receive.
async fn closed(work: &mpsc::Receiver<Work>) {
    while !work.is_closed() {
        tokio::time::sleep(CHECK).await;
    }
}

/// Returns the failure that a handler gave as its error, or makes one of the error's text.
fn failure_of(error: &BoxError) -> Failure {
    match error.downcast_ref::<Failure>() {
        Some(failure) => failure.clone(),
        None => Failure::new(Cause::Error, text_of(error.as_ref())),
    }
}
