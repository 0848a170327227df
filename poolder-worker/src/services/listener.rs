//! Receives hints for all partitions of the node on one connection.

use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::Hint;
use tokio::sync::watch;

use super::service_context::ServiceContext;
use crate::process::liveness::NodeIdentity;
use crate::process::watching::changed;

/// Several partitions are added or removed at a time: the listener waits this long for the rest of
/// them before it subscribes again.
const CHANGE_DELAY: Duration = Duration::from_millis(250);
/// How long the listener waits after a failure before it subscribes again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

pub(super) async fn run(mut known: watch::Receiver<Vec<ServiceContext>>) {
    loop {
        let services = known.borrow_and_update().clone();
        let Some(broker) = services.first().map(|cx| cx.broker.clone()) else {
            changed(&mut known).await;
            continue;
        };
        let partitions: Vec<Partition> = services.iter().map(|cx| cx.partition.clone()).collect();
        let mut identity = services[0].identity.clone();
        let name = identity.borrow_and_update().name.clone();
        match broker.listen(&partitions, &name).await {
            Ok(mut listener) => {
                set_hints(&services, true);
                loop {
                    tokio::select! {
                        received = listener.next() => match received {
                            Some((at, Hint::Due)) => services[at].due.notify_one(),
                            Some((at, Hint::Death)) => services[at].deaths.notify_one(),
                            Some((at, Hint::Tick)) => services[at].tick.notify_one(),
                            Some((at, Hint::Lease)) => services[at].lease.notify_one(),
                            Some((at, Hint::Commands)) => services[at].news.notify_one(),
                            Some((at, Hint::Wake)) => services[at].wake.notify_one(),
                            None => break,
                        },
                        // Subscribes again, to the partitions that there are after a delay, since
                        // many change at a time.
                        () = changed(&mut known) => {
                            tokio::time::sleep(CHANGE_DELAY).await;
                            break;
                        }
                        // Other nodes know this one by its new name.
                        () = renamed(&mut identity, &name) => break,
                    }
                }
                tracing::debug!("hints are no longer received");
            }
            Err(error) => tracing::debug!(%error, "hints cannot be received"),
        }
        set_hints(&services, false);
        if !known.has_changed().unwrap_or(false) {
            tokio::time::sleep(RETRY_INTERVAL).await;
        }
    }
}

/// Waits until the node has another name.
async fn renamed(identity: &mut watch::Receiver<NodeIdentity>, name: &str) {
    while *identity.borrow_and_update().name == *name {
        changed(identity).await;
    }
}

fn set_hints(services: &[ServiceContext], received: bool) {
    for cx in services {
        cx.hints.send_replace(received);
        // Wakes the services, so that they look up the changes whose hints were lost before.
        cx.due.notify_one();
        cx.news.notify_one();
        cx.tick.notify_one();
        cx.lease.notify_one();
        cx.deaths.notify_one();
    }
}
