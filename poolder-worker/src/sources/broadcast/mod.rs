//! Broadcast pools: one reader per process, and every slot of the process runs its copy. Errors are
//! retried in place; a process misses the broadcasts that are sent while it is down.
//!
//! | file | what it does |
//! |---|---|
//! | `runner` | runs the copies in the slots of this process |
//! | `counts` | counts the copies and reports the counts |

mod counts;
mod runner;

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{BroadcastPosition, BroadcastReader};
use poolder_core::{Entry, Partition};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use self::counts::BroadcastCounts;
use self::runner::{BroadcastRunners, RunnerSetup};
use crate::process::commands::KnownCommands;
use crate::process::limits::{RESTART_PAUSE, request_pauses};
use crate::process::liveness::ShutdownPhase;
use crate::process::watching::{changed, reaches};
use crate::run::guard::{guarded, logged};
use crate::run::pool::PoolPlan;
use crate::run::pool_spec::PoolSpec;
use crate::run::slot_set::TargetSize;
use crate::services::node_context::NodeContext;
use crate::services::spawn::spawn_command_watcher;

/// How often the counts are reported to the server.
const REPORT_INTERVAL: Duration = Duration::from_secs(1);

/// Runs this process's part of a broadcast pool until its phase ends it; false when a slot did not
/// end.
pub(crate) async fn run_broadcast(
    plan: PoolPlan,
    node: NodeContext,
    phase: watch::Sender<ShutdownPhase>,
    target: watch::Receiver<TargetSize>,
) -> bool {
    let (spec, counts) = (Arc::clone(&plan.spec), Arc::new(BroadcastCounts::default()));
    let (partition, engine) = (plan.partition(), node.engine(&spec, phase.subscribe()));
    let (mut tasks, stop_tasks) = (JoinSet::new(), CancellationToken::new());
    let services = node.service_context(&partition, &engine, false);
    spawn_command_watcher(&mut tasks, &services, &stop_tasks);
    let commands = services.commands.subscribe();
    node.services.add(services);
    let setup = RunnerSetup {
        engine,
        partition: partition.clone(),
        identity: node.identity.clone(),
        counts: Arc::clone(&counts),
        phase: phase.subscribe(),
        commands: commands.clone(),
    };
    let first = *target.borrow();
    let phases = phase.subscribe();
    let mut reading = Reading {
        slots: BroadcastRunners::new(setup, first),
        node: node.clone(),
        first,
        phase,
        phases,
        target,
        commands,
        last: None,
        entries: VecDeque::new(),
        callbacks: JoinSet::new(),
    };
    loop {
        let run = Box::pin(reading.run(&spec, &counts, &partition));
        let Err(panic) = guarded(|| run).await else { break };
        logged(|| {
            tracing::error!(queue = %spec.queue, panic, "a pool panicked and is restarted");
        });
        pause(&mut reading.phases, RESTART_PAUSE).await;
    }
    let clean = reading.slots.stop().await;
    counts.report(&node, &spec).await;
    node.services.remove(&partition);
    stop_tasks.cancel();
    while tasks.join_next().await.is_some() {}
    clean
}

/// The reading of broadcasts. It is kept when it panics: the slots run on, and no broadcast is read
/// twice or left out.
struct Reading {
    slots: BroadcastRunners,
    node: NodeContext,
    /// The number of slots with which the pool began.
    first: TargetSize,
    phase: watch::Sender<ShutdownPhase>,
    phases: watch::Receiver<ShutdownPhase>,
    target: watch::Receiver<TargetSize>,
    commands: watch::Receiver<KnownCommands>,
    /// The position behind the last broadcast that was read; `None` before the first look.
    last: Option<BroadcastPosition>,
    /// The broadcasts that were read, and that the slots have not got yet.
    entries: VecDeque<Entry>,
    /// The call of `handle_pool_ready`.
    callbacks: JoinSet<()>,
}

impl Reading {
    /// Reads broadcasts and gives them to the slots, until the pool ends.
    async fn run(&mut self, spec: &Arc<PoolSpec>, counts: &BroadcastCounts, partition: &Partition) {
        let Self { slots, node, first, phase, phases, target, commands, last, entries, callbacks } =
            self;
        let (mut open_reader, mut pauses, mut report_at) =
            (None, request_pauses(), tokio::time::Instant::now() + REPORT_INTERVAL);
        // Those that a panic has left.
        deliver(slots, entries);
        while *phases.borrow_and_update() == ShutdownPhase::Run {
            slots.resize(*target.borrow_and_update());
            let mut reader: BroadcastReader = match open_reader.take() {
                Some(reader) => reader,
                None => {
                    let broker = node.client.broker();
                    match BroadcastReader::open(broker, &spec.queue, last.clone()).await {
                        Ok(reader) => reader,
                        Err(error) => {
                            if let Some(last) = last {
                                last.forget_losses();
                            }
                            node.outages.failed(&spec.queue, "broadcasts cannot be read", &error);
                            pause(phases, pauses.after_failure()).await;
                            continue;
                        }
                    }
                }
            };
            *last = Some(reader.position());
            // While the queue is paused, the broadcasts wait in their stream.
            let paused = commands.borrow_and_update().is_paused();
            let read = tokio::select! {
                read = reader.read(), if !paused => Some(read),
                () = changed(phases) => None,
                () = changed(target) => None,
                () = changed(commands) => {
                    // No leader removes the old cancellations of this partition.
                    let expired = node.client.broker().expire_cancellations(partition).await;
                    if let Err(error) = expired {
                        tracing::debug!(%partition, %error, "old cancellations were not removed");
                    }
                    None
                }
                () = slots.all_ready(first.size) => {
                    let spec = Arc::clone(spec);
                    callbacks.spawn(async move { spec.announce_ready().await });
                    None
                }
                () = spec.stop.notified() => {
                    phase.send_replace(ShutdownPhase::Drain);
                    None
                }
                () = tokio::time::sleep_until(report_at) => {
                    report_at = tokio::time::Instant::now() + REPORT_INTERVAL;
                    counts.report(node, spec).await;
                    None
                }
            };
            match read {
                None if paused => open_reader = Some(reader),
                // A dropped read has not moved the position, but its connection is not used again.
                None => {}
                Some(Ok(copies)) => {
                    *last = Some(reader.position());
                    entries.extend(copies.entries);
                    pauses.after_success();
                    if copies.missed > 0 {
                        counts.miss(spec, copies.missed, "they were trimmed before they were read");
                    }
                    deliver(slots, entries);
                    open_reader = Some(reader);
                }
                Some(Err(error)) => {
                    *last = Some(reader.position());
                    node.outages.failed(&spec.queue, "broadcasts cannot be read", &error);
                    pause(phases, pauses.after_failure()).await;
                }
            }
        }
    }
}

/// Gives the broadcasts to the slots, one after the other.
fn deliver(slots: &BroadcastRunners, entries: &mut VecDeque<Entry>) {
    while let Some(entry) = entries.pop_front() {
        slots.deliver(entry);
    }
}

/// Waits for this time, or until the pool ends.
async fn pause(phase: &mut watch::Receiver<ShutdownPhase>, time: Duration) {
    tokio::select! {
        () = tokio::time::sleep(time) => {}
        () = reaches(phase, ShutdownPhase::Drain) => {}
    }
}
