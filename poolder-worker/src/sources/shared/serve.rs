//! Runs a shared pool: its services, its slots and their claimer.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use super::claimer::{Claimer, Setup};
use crate::process::limits::LAST_CALL;
use crate::process::liveness::Phase;
use crate::run::mailbox::Mailbox;
use crate::run::pool::PoolPlan;
use crate::run::slot_set::{SlotSet, TargetSize};
use crate::services::node_context::Commons;
use crate::services::spawn::spawn_all;

/// A pool that broke is started again after this pause.
const RESTART: Duration = Duration::from_secs(1);

/// Runs a shared pool until its phase ends it.
pub(crate) async fn run_shared(
    plan: PoolPlan,
    commons: Commons,
    phase: watch::Sender<Phase>,
    target: watch::Receiver<TargetSize>,
) -> bool {
    let (spec, partition) = (&plan.spec, plan.partition());
    let (mut duties, stop_duties) = (JoinSet::new(), CancellationToken::new());
    let post = commons.post(&partition, false);
    spawn_all(&mut duties, &post, &stop_duties);
    let orders = post.orders.subscribe();
    commons.posts.add(post);
    let clean = loop {
        let setup = Setup {
            client: commons.client.clone(),
            partition: partition.clone(),
            limits: commons.limits,
            slots: SlotSet::start(
                spec,
                *target.borrow(),
                &Arc::new(Mailbox::default()),
                &commons.clock,
            ),
            clock: Arc::clone(&commons.clock),
            pulse: Arc::clone(&commons.pulse),
            suspects: Arc::clone(&commons.suspects),
            phase: phase.subscribe(),
            target: target.clone(),
            identity: commons.identity.clone(),
            orders: orders.clone(),
        };
        let mut claimer = tokio::spawn(Claimer::new(setup).run());
        let slots = loop {
            tokio::select! {
                slots = &mut claimer => break slots,
                () = spec.stop.notified() => drop(phase.send_replace(Phase::Drain)),
            }
        };
        match slots {
            Ok(slots) => break slots.stop(LAST_CALL).await,
            Err(error) => {
                tracing::error!(queue = %spec.queue, %error, "a pool broke and is started again");
                tokio::time::sleep(RESTART).await;
            }
        }
    };
    commons.posts.remove(&partition);
    stop_duties.cancel();
    while duties.join_next().await.is_some() {}
    clean
}
