//! Publishes the ticks of the partition's schedules. It sleeps until the next tick, and a hint
//! wakes it when a tick comes earlier.

use std::time::Duration;

use poolder_core::Error;

use super::leader_task::run_while_leader;
use super::service_context::ServiceContext;

pub(super) async fn run(cx: ServiceContext) {
    let work = || publish_all(&cx);
    run_while_leader(&cx, &cx.tick, "ticks could not be published", work).await;
}

/// Publishes all ticks that are due; returns how long until the next tick, if there is any.
async fn publish_all(cx: &ServiceContext) -> Result<Option<Duration>, Error> {
    if cx.broker.nothing_ticks(&cx.partition).await? {
        return Ok(None);
    }
    while cx.is_leading() {
        let published = cx.broker.publish_ticks(&cx.partition).await?;
        if published.due == 0 {
            return Ok(published.next.map(|next| next.since(published.now)));
        }
    }
    Ok(None)
}
