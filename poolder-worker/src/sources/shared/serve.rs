//! Runs a shared pool: its services, its slots and their claimer.

use std::sync::Arc;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::claim_loop::ClaimLoop;
use super::claimer::{ClaimerSetup, FleetNews};
use crate::process::limits::RESTART_PAUSE;
use crate::process::liveness::ShutdownPhase;
use crate::run::guard::logged;
use crate::run::pool::PoolPlan;
use crate::run::slot_set::{SlotSet, TargetSize};
use crate::services::node_context::NodeContext;
use crate::services::spawn::spawn_all;

/// Runs a shared pool until its phase ends it. Returns false when a slot did not end or consumers
/// stay behind.
pub(crate) async fn run_shared(
    plan: PoolPlan,
    node: NodeContext,
    phase: watch::Sender<ShutdownPhase>,
    target: watch::Receiver<TargetSize>,
) -> bool {
    let (spec, partition, engine) =
        (&plan.spec, plan.partition(), node.engine(&plan.spec, phase.subscribe()));
    let (mut tasks, stop_tasks) = (JoinSet::new(), CancellationToken::new());
    let services = node.service_context(&partition, &engine, false);
    spawn_all(&mut tasks, &services, &stop_tasks);
    let commands = services.commands.subscribe();
    let (hints, wake) = (services.hints.subscribe(), Arc::clone(&services.wake));
    let rests = Arc::clone(&services.rests);
    node.services.add(services);
    let _counted = node.joint_wait.count_pool();
    let clean = loop {
        let setup = ClaimerSetup {
            slots: SlotSet::start(&engine, *target.borrow()),
            engine: Arc::clone(&engine),
            partition: partition.clone(),
            limits: node.dead_limits(spec),
            suspects: Arc::clone(&node.suspects),
            phase: phase.subscribe(),
            target: target.clone(),
            identity: node.identity.clone(),
            commands: commands.clone(),
            fleet: FleetNews {
                nodes: node.nodes.clone(),
                dead: node.dead.clone(),
                hints: hints.clone(),
                wake: Arc::clone(&wake),
                rests: Arc::clone(&rests),
            },
            joint_wait: node.joint_wait.clone(),
        };
        let claimer = tokio::spawn(ClaimLoop::new(setup).run());
        let mut claimer = AbortOnDropHandle::new(claimer);
        let slots = loop {
            tokio::select! {
                slots = &mut claimer => break slots,
                () = spec.stop.notified() => drop(phase.send_replace(ShutdownPhase::Drain)),
            }
        };
        match slots {
            Ok(slots) => break slots.stop().await,
            Err(error) => {
                logged(|| {
                    tracing::error!(queue = %spec.queue, %error, "a pool panicked and is restarted");
                });
                tokio::time::sleep(RESTART_PAUSE).await;
            }
        }
    };
    node.services.remove(&partition);
    stop_tasks.cancel();
    while tasks.join_next().await.is_some() {}
    clean
}
