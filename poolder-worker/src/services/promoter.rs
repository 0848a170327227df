//! Moves due jobs into their lanes, and lets groups of a limited queue go on whose time has come. It
//! sleeps until the first job is due, or the first group may go on, and a hint wakes it when one is
//! earlier.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use poolder_core::Error;

use super::leader_task::run_while_leader;
use super::service_context::ServiceContext;

pub(super) async fn run(cx: ServiceContext) {
    let clock = AtomicI64::new(i64::MAX);
    let work = || promote_and_start(&cx, &clock);
    run_while_leader(&cx, &cx.due, "due jobs could not be moved", work).await;
}

/// Moves due jobs and lets groups go on; returns how long until there is more to do, if that is known.
async fn promote_and_start(
    cx: &ServiceContext,
    clock: &AtomicI64,
) -> Result<Option<Duration>, Error> {
    let due = promote_all(cx).await?;
    let is_limited = cx.commands.borrow().is_limited();
    let groups = if is_limited { start_groups(cx, clock).await? } else { None };
    Ok(due.into_iter().chain(groups).min())
}

/// Lets groups go on whose time has come; returns how long until the next one may, if any waits.
/// `clock` has the server's time at the last call. A clock that went back, as one of another server
/// may have, has the times of all groups looked at, as for the first call.
async fn start_groups(cx: &ServiceContext, clock: &AtomicI64) -> Result<Option<Duration>, Error> {
    loop {
        let times = cx.broker.start_groups_on_time(&cx.partition).await?;
        if times.now.millis() < clock.swap(times.now.millis(), Ordering::Relaxed) {
            cx.broker.check_times_of_groups(&cx.partition).await?;
            continue;
        }
        match times.next {
            Some(Duration::ZERO) if cx.is_leading() => {}
            next => return Ok(next),
        }
    }
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
