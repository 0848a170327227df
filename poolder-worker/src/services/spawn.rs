//! Starts background services, and restarts a service that panicked.

use std::future::Future;
use std::sync::Arc;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::history_writer::HistoryWriter;
use super::journal_writer::JournalWriter;
use super::node_context::NodeContext;
use super::service_context::{PartitionServices, ServiceContext};
use super::{
    command_watcher, dead_hooks, finished_writer, history_writer, joint_wait, journal_writer,
    leader, listener, progress_writer, promoter, pruner, rescuer, scheduler, sorter,
};
use crate::process::limits::RESTART_PAUSE;
use crate::run::guard::{guarded, logged};

/// Starts the services of a partition whose leader is elected. They end when `stop` is cancelled.
pub(crate) fn spawn_all(tasks: &mut JoinSet<()>, cx: &ServiceContext, stop: &CancellationToken) {
    let (lead, end) = (cx.clone(), stop.clone());
    tasks.spawn(restarted("leader", move || leader::run(lead.clone(), end.clone())));
    spawn_owned(tasks, cx, stop);
    let (rescue, sort) = (cx.clone(), cx.clone());
    until(tasks, stop, "rescuer", move || rescuer::run(rescue.clone()));
    until(tasks, stop, "sorter", move || sorter::run(sort.clone()));
}

/// Starts the services of a partition whose owner leads it, such as an addressed slot. They end
/// when `stop` is cancelled.
pub(crate) fn spawn_owned(tasks: &mut JoinSet<()>, cx: &ServiceContext, stop: &CancellationToken) {
    let (promote, prune) = (cx.clone(), cx.clone());
    until(tasks, stop, "promoter", move || promoter::run(promote.clone()));
    until(tasks, stop, "pruner", move || pruner::run(prune.clone()));
    if cx.partition.index == 0 {
        // Schedules are stored in the home partition, which has index 0.
        let publish = cx.clone();
        until(tasks, stop, "scheduler", move || scheduler::run(publish.clone()));
    }
    if !cx.engine.spec.hooks.is_empty() {
        let tell = cx.clone();
        until(tasks, stop, "dead_hooks", move || dead_hooks::run(tell.clone()));
    }
    spawn_command_watcher(tasks, cx, stop);
}

/// Starts the service that reads the operators' commands for a partition. It ends when `stop` is
/// cancelled.
pub(crate) fn spawn_command_watcher(
    tasks: &mut JoinSet<()>,
    cx: &ServiceContext,
    stop: &CancellationToken,
) {
    let cx = cx.clone();
    until(tasks, stop, "command_watcher", move || command_watcher::run(cx.clone()));
}

/// Starts the listener, which receives hints for all partitions of the node as they are added and
/// removed.
pub(crate) fn spawn_listener(
    tasks: &mut JoinSet<()>,
    services: PartitionServices,
    stop: &CancellationToken,
) {
    until(tasks, stop, "listener", move || listener::run(services.subscribe()));
}

/// Starts the service that waits for jobs of the pools that have been idle for a while. It ends when
/// `stop` is cancelled.
pub(crate) fn spawn_joint_wait(
    tasks: &mut JoinSet<()>,
    node: &NodeContext,
    stop: &CancellationToken,
) {
    let NodeContext { joint_wait, client, limits, clock, .. } = node.clone();
    until(tasks, stop, "joint_wait", move || {
        joint_wait::run(joint_wait.clone(), client.broker().clone(), limits, Arc::clone(&clock))
    });
}

/// Starts the service that writes the progress of the node's jobs. It ends when `stop` is cancelled.
pub(crate) fn spawn_progress_writer(
    tasks: &mut JoinSet<()>,
    node: &NodeContext,
    stop: &CancellationToken,
) {
    let NodeContext { client, progress, outages, .. } = node.clone();
    until(tasks, stop, "progress_writer", move || {
        progress_writer::run(client.broker().clone(), Arc::clone(&progress), Arc::clone(&outages))
    });
}

/// Starts the service that writes the finished jobs which the node's pools keep. It ends when `stop`
/// is cancelled.
pub(crate) fn spawn_finished_writer(
    tasks: &mut JoinSet<()>,
    node: &NodeContext,
    stop: &CancellationToken,
) {
    let NodeContext { client, finished, .. } = node.clone();
    until(tasks, stop, "finished_writer", move || {
        finished_writer::run(client.broker().clone(), finished.clone())
    });
}

/// Starts the services that add the node's counts to the history and its events to the journal. They
/// end when `stop` is cancelled.
pub(crate) fn spawn_history_writer(
    tasks: &mut JoinSet<()>,
    (writer, events): (&Arc<HistoryWriter>, &JournalWriter),
    stop: &CancellationToken,
) {
    let events = events.clone();
    until(tasks, stop, "journal_writer", move || journal_writer::run(events.clone()));
    let writer = Arc::clone(writer);
    until(tasks, stop, "history_writer", move || history_writer::run(Arc::clone(&writer)));
}

/// Runs a service until `stop` is cancelled. The service may be dropped at any await point, since
/// each of its steps in Redis is atomic.
fn until<F: Future<Output = ()> + Send + 'static>(
    tasks: &mut JoinSet<()>,
    stop: &CancellationToken,
    name: &'static str,
    service: impl Fn() -> F + Send + 'static,
) {
    let stop = stop.clone();
    tasks.spawn(async move {
        tokio::select! {
            () = stop.cancelled() => {}
            () = restarted(name, service) => {}
        }
    });
}

/// Runs a service, and runs it again when it panics.
async fn restarted<F: Future<Output = ()>>(name: &'static str, service: impl Fn() -> F) {
    while let Err(panic) = guarded(|| Box::pin(service())).await {
        logged(|| tracing::error!(service = name, panic, "a service panicked and is restarted"));
        tokio::time::sleep(RESTART_PAUSE).await;
    }
}
