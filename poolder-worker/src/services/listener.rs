//! Hears hints for all partitions of the node on one connection.

use std::time::Duration;

use poolder_core::Partition;
use poolder_core::broker::Hint;
use tokio::sync::watch;

use super::service_context::ServiceContext;

/// Partitions come and go together: how long to wait for the rest of them.
const SETTLE: Duration = Duration::from_millis(250);
/// How long to wait before listening again.
const PAUSE: Duration = Duration::from_secs(1);

pub(super) async fn run(mut known: watch::Receiver<Vec<ServiceContext>>) {
    loop {
        let services = known.borrow_and_update().clone();
        let Some(broker) = services.first().map(|cx| cx.broker.clone()) else {
            if known.changed().await.is_err() {
                return;
            }
            continue;
        };
        let partitions: Vec<Partition> = services.iter().map(|cx| cx.partition.clone()).collect();
        match broker.listen(&partitions).await {
            Ok(mut listener) => {
                hear(&services, true);
                loop {
                    tokio::select! {
                        heard = listener.next() => match heard {
                            Some((at, Hint::Due)) => services[at].due.notify_one(),
                            Some((at, Hint::Tick)) => services[at].tick.notify_one(),
                            Some((at, Hint::Lease)) => services[at].lease.notify_one(),
                            Some((at, Hint::Commands)) => services[at].news.notify_one(),
                            None => break,
                        },
                        // Subscribes anew, to the partitions of then: many come at a time.
                        _ = known.changed() => {
                            tokio::time::sleep(SETTLE).await;
                            break;
                        }
                    }
                }
                tracing::debug!("hints are no longer heard");
            }
            Err(error) => tracing::debug!(%error, "hints cannot be heard"),
        }
        hear(&services, false);
        let changed = known.has_changed().unwrap_or(true);
        if !changed {
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn hear(services: &[ServiceContext], heard: bool) {
    for cx in services {
        cx.hints.send_replace(heard);
        // Whatever was hinted at before is looked up now.
        cx.due.notify_one();
        cx.news.notify_one();
        cx.tick.notify_one();
        cx.lease.notify_one();
    }
}
