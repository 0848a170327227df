//! Publishes the ticks of the partition's schedules. It sleeps until the next tick, and a hint
//! wakes it when a tick comes earlier.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use poolder_core::{Error, Timestamp};

use super::leader_task::run_while_leader;
use super::service_context::ServiceContext;

/// The server's clock as the last publication saw it, and the time of the node.
type Seen = Option<(Timestamp, Instant)>;

/// The time without a publication after which another node may have led.
const MAX_PAUSE: Duration = Duration::from_secs(60);
/// The fall of the server's clock that lets schedules go on whose last tick lies in the future.
const MAX_FALL: Duration = Duration::from_secs(60);

pub(super) async fn run(cx: ServiceContext) {
    let seen = Mutex::new(None);
    let work = || publish_all(&cx, &seen);
    run_while_leader(&cx, &cx.tick, "ticks could not be published", work).await;
}

/// Publishes all ticks that are due; returns how long until the next tick, if there is any. After the
/// first publication of this node, and when the server's clock was put back, schedules go on whose
/// last tick lies in the future.
async fn publish_all(cx: &ServiceContext, seen: &Mutex<Seen>) -> Result<Option<Duration>, Error> {
    if cx.broker.nothing_ticks(&cx.partition).await? {
        return Ok(None);
    }
    while cx.is_leading() {
        let node = cx.identity.borrow().name.clone();
        let published = cx.broker.publish_ticks(&cx.partition, &node).await?;
        let before = *seen.lock().unwrap_or_else(PoisonError::into_inner);
        let resumed = match may_be_put_back(before, published.now) {
            true => cx.broker.resume_ticks(&cx.partition, None).await?,
            false => 0,
        };
        let now = Some((published.now, Instant::now()));
        *seen.lock().unwrap_or_else(PoisonError::into_inner) = now;
        if resumed > 0 {
            continue;
        }
        if published.due == 0 {
            return Ok(published.next.map(|next| next.since(published.now)));
        }
    }
    Ok(None)
}

/// Returns true when the server's clock may have been put back since the last publication.
fn may_be_put_back(before: Seen, now: Timestamp) -> bool {
    before.is_none_or(|(last, at)| at.elapsed() > MAX_PAUSE || last.since(now) > MAX_FALL)
}
