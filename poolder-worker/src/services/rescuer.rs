//! Takes back the jobs that dead nodes hold. Each job goes back to the front, a suspect to its own
//! lane, with its crash counted, or to the dead when it keeps killing nodes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use poolder_core::broker::{LaneConsumer, Membership};
use poolder_core::mutation::mutated;
use poolder_core::{Claim, Error};

use super::service_context::ServiceContext;
use super::take_back::TakeBack;
use crate::process::limits::ABSENCE_LIMIT;
use crate::process::watching::changed;

/// Consumers are listed whenever a node is marked as dead, and this often: a claim may arrive late
/// under a dead name.
const INTERVAL: Duration = Duration::from_secs(30);
/// How often consumers are listed while there are none of other nodes, and none has died lately.
const INTERVAL_ALONE: Duration = Duration::from_secs(2 * 60);
/// A claim under a dead name arrives no later than this after the death, unless its network was cut.
const LATE_CLAIMS: Duration = Duration::from_secs(60);
/// The jobs of a consumer without an entry in the roster are taken back when it was idle for this
/// long, and its node stays missing for [`ABSENCE_LIMIT`]: the roster may have been lost, and a node
/// whose slots run long jobs is idle as well.
const STRANGER_IDLE: Duration = Duration::from_secs(10 * 60);
/// The wait after a failure.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// The idle nodes that are missing from the roster, each with the time at which this was seen first.
type MissingNodes = BTreeMap<String, Instant>;

pub(super) async fn run(mut cx: ServiceContext) {
    let mut missing = MissingNodes::new();
    // This node does not know what happened before.
    let mut death = Instant::now();
    loop {
        cx.until_leading().await;
        cx.dead.mark_unchanged();
        let wait = match rescue_all(&cx, &mut missing).await {
            Ok(_) if !missing.is_empty() => ABSENCE_LIMIT,
            Ok(false) if death.elapsed() > LATE_CLAIMS => INTERVAL_ALONE,
            Ok(_) => INTERVAL,
            Err(error) => {
                // While the server is away, no node can return to the roster.
                missing.clear();
                cx.engine.outages.failed(&cx.partition, "the rescue failed", &error);
                RETRY_INTERVAL
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = changed(&mut cx.dead) => death = Instant::now(),
        }
    }
}

/// Checks every consumer once. One that cannot be rescued does not keep those behind it from being
/// rescued. Returns whether there are consumers of other nodes.
///
/// # Errors
/// Returns the last error of a rescue.
async fn rescue_all(cx: &ServiceContext, missing: &mut MissingNodes) -> Result<bool, Error> {
    let own = cx.identity.borrow().name.clone();
    let mut consumers = cx.broker.consumers(&cx.partition).await?;
    consumers.retain(|consumer| consumer.name != *own);
    let missing_before = std::mem::take(missing);
    if consumers.is_empty() {
        return Ok(false);
    }
    let mut names: Vec<String> = consumers.iter().map(|consumer| consumer.name.clone()).collect();
    names.sort_unstable();
    names.dedup();
    let memberships = cx.broker.membership(&names).await?;
    let rescue =
        TakeBack { engine: &cx.engine, partition: &cx.partition, limits: cx.limits, lease: None };
    let mut rescued = Ok(());
    for consumer in consumers {
        let at = names.iter().position(|name| *name == consumer.name).unwrap_or_default();
        let gone = match memberships.get(at) {
            Some(Membership::Dead) => true,
            Some(Membership::Stranger) if consumer.idle >= STRANGER_IDLE => {
                let since = missing_before.get(&consumer.name).copied();
                let since = since.unwrap_or_else(Instant::now);
                missing.insert(consumer.name.clone(), since);
                since.elapsed() >= ABSENCE_LIMIT
            }
            _ => false,
        };
        if gone {
            rescued = rescue_one(cx, &rescue, &consumer).await.and(rescued);
        }
    }
    rescued.map(|()| true)
}

/// Takes back the entries of one consumer. Of the suspects only the one that the node had begun to
/// run is blamed: others were only claimed, or released by a settlement that was not answered.
async fn rescue_one(
    cx: &ServiceContext,
    rescue: &TakeBack<'_>,
    consumer: &LaneConsumer,
) -> Result<(), Error> {
    let begun = match consumer.lane.is_suspect() {
        true => cx.broker.begun_suspect(&cx.partition, &consumer.name).await?,
        false => None,
    };
    let ran = |claim: &Claim| {
        !claim.lane.is_suspect() || begun.as_ref() == Some(&claim.entry) || mutated("suspect-note")
    };
    // Entries that stay are tried again with the next pass.
    rescue.run(consumer, ran).await.map(drop)
}
