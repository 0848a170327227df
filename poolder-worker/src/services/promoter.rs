//! Moves due jobs into their lanes. It sleeps until the first job in `due` is due, and a hint wakes
//! it when a job is due earlier.

use std::time::Duration;

use poolder_core::Error;

use super::leader_task::run_while_leader;
use super::service_context::ServiceContext;

pub(super) async fn run(cx: ServiceContext) {
    let work = || promote_all(&cx);
    run_while_leader(&cx, &cx.due, "due jobs could not be moved", work).await;
}

/// Moves all due jobs; returns how long until the next one is due, if any waits.
async fn promote_all(cx: &ServiceContext) -> Result<Option<Duration>, Error> {
    if cx.broker.nothing_is_due(&cx.partition).await? {
        return Ok(None);
    }
    loop {
        let promotion = cx.broker.promote(&cx.partition).await?;
        if promotion.moved > 0 {
            tracing::debug!(partition = %cx.partition, jobs = promotion.moved, "promoted");
        }
        let Some(next) = promotion.next else { return Ok(None) };
        let wait = next.since(promotion.now);
        if wait > Duration::ZERO || !cx.is_leading() {
            return Ok(Some(wait));
        }
    }
}
