//! Takes back the jobs that dead nodes hold. Each job goes back to the front, a suspect to its own
//! lane, with its crash counted, or to the dead when it keeps killing nodes.

use std::time::Duration;

use poolder_core::broker::{LaneConsumer, Membership, Settled, Settlement};
use poolder_core::policy::decide::{Ending, Transition, decide};
use poolder_core::{Entry, Error};

use super::service_context::ServiceContext;

/// Consumers are listed whenever a node is marked as dead, and this often: a claim may arrive late
/// under a dead name.
const INTERVAL: Duration = Duration::from_secs(30);
/// A consumer without an entry in the roster does not belong to a living node; its jobs are taken
/// back when it was idle for this long.
const STRANGER_IDLE: Duration = Duration::from_secs(10 * 60);
/// The wait after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(mut cx: ServiceContext) {
    loop {
        cx.until_leading().await;
        cx.dead.mark_unchanged();
        let wait = match rescue_all(&cx).await {
            Ok(()) => INTERVAL,
            Err(error) => {
                tracing::warn!(
                    partition = %cx.partition, %error, "the rescue failed, trying again"
                );
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = cx.dead.changed() => {}
        }
    }
}

/// Checks every consumer once.
async fn rescue_all(cx: &ServiceContext) -> Result<(), Error> {
    let own = cx.identity.borrow().name.clone();
    let mut consumers = cx.broker.consumers(&cx.partition).await?;
    consumers.retain(|consumer| consumer.name != *own);
    if consumers.is_empty() {
        return Ok(());
    }
    let mut names: Vec<String> = consumers.iter().map(|consumer| consumer.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let memberships = cx.broker.membership(&names).await?;
    for consumer in consumers {
        let at = names.iter().position(|name| *name == consumer.name).unwrap_or_default();
        match memberships.get(at) {
            Some(Membership::Dead) => take_back(cx, &consumer).await?,
            Some(Membership::Stranger) if consumer.idle >= STRANGER_IDLE => {
                take_back(cx, &consumer).await?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Takes back all entries that a consumer holds in a lane, then removes the consumer.
async fn take_back(cx: &ServiceContext, consumer: &LaneConsumer) -> Result<(), Error> {
    let owner: poolder_core::broker::NodeName = consumer.name.as_str().into();
    let mut rescued = 0;
    loop {
        let held = cx.broker.held_by(&cx.partition, consumer.lane, &consumer.name).await?;
        if held.is_empty() {
            break;
        }
        let before = rescued;
        let batch: Vec<Settlement> = held
            .into_iter()
            .map(|entry| match entry {
                Entry::Job(claim) => {
                    let (policy, counters) = (claim.envelope.policy(), claim.counters.clone());
                    let ending = Ending::Crashed(consumer.name.clone());
                    let transition = decide(&policy, &counters, ending, cx.clock.now(), 0.0);
                    Settlement::new(claim, owner.clone(), None, transition)
                }
                Entry::Undecodable(found) => Settlement::bury_undecodable(found, owner.clone()),
            })
            .collect();
        for (result, settlement) in
            cx.broker.settle(&cx.partition, cx.limits, &batch).await.into_iter().zip(&batch)
        {
            match result {
                Settled::Applied => rescued += 1,
                // Another leader was faster.
                Settled::Fenced | Settled::Epoch => continue,
                Settled::Failed(error) => return Err(error),
            }
            if let Transition::Bury { counters } = settlement.transition() {
                let reason = counters.last_failure.as_ref().map(ToString::to_string);
                tracing::error!(
                    partition = %cx.partition, job = %settlement.job_id(),
                    reason = reason.as_deref().unwrap_or_default(), "a job died"
                );
            }
        }
        // Another leader takes the entries, or they cannot be taken: in both cases the next listing
        // shows which are left.
        if rescued == before {
            break;
        }
    }
    if rescued > 0 {
        tracing::warn!(
            partition = %cx.partition, lane = %consumer.lane, node = consumer.name,
            jobs = rescued, "rescued the jobs of a dead node"
        );
    }
    cx.broker.remove_consumer(&cx.partition, consumer.lane, &consumer.name).await?;
    Ok(())
}
