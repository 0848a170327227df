//! Removes dead jobs and cancellations that are older than they are kept.

use std::time::Duration;

use super::service_context::ServiceContext;

const INTERVAL: Duration = Duration::from_secs(60);

pub(super) async fn run(cx: ServiceContext) {
    loop {
        cx.until_leading().await;
        loop {
            let now = cx.engine.clock.now();
            match cx.broker.prune_dead(&cx.partition, cx.limits, now).await {
                Ok(0) => break,
                Ok(jobs) => {
                    tracing::info!(partition = %cx.partition, jobs, "pruned old dead jobs");
                }
                Err(error) => {
                    let request = "dead jobs were not pruned";
                    cx.engine.outages.failed(&cx.partition, request, &error);
                    break;
                }
            }
        }
        match cx.broker.expire_cancellations(&cx.partition).await {
            Ok(0) => {}
            Ok(commands) => {
                tracing::info!(
                    partition = %cx.partition, commands, "removed expired cancellations"
                );
            }
            Err(error) => {
                let request = "expired cancellations were not removed";
                cx.engine.outages.failed(&cx.partition, request, &error);
            }
        }
        tokio::time::sleep(INTERVAL).await;
    }
}
