//! Removes dead jobs and cancellations that are older than they are kept, and frees keys of unique
//! jobs that no job holds.

use std::time::Duration;

use poolder_core::Error;
use poolder_core::broker::KeySweep;

use super::service_context::ServiceContext;

const INTERVAL: Duration = Duration::from_secs(60);

/// The most pages of keys that are swept at a time, about 250 keys each.
const MAX_PAGES: usize = 2_000;

pub(super) async fn run(cx: ServiceContext) {
    let mut sweep = KeySweep::default();
    loop {
        cx.until_leading().await;
        // Without an answer the steps below are tried, and tell what is wrong.
        if !cx.broker.keeps_nothing(&cx.partition).await.unwrap_or(false) {
            prune(&cx, &mut sweep).await;
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

async fn prune(cx: &ServiceContext, sweep: &mut KeySweep) {
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
    sweep_keys(cx, sweep).await;
}

/// Frees the keys of unique jobs that no job holds any more.
async fn sweep_keys(cx: &ServiceContext, sweep: &mut KeySweep) {
    let swept = async {
        if cx.broker.no_key_is_held(&cx.partition).await? {
            return Ok(0);
        }
        let mut freed = 0;
        for _ in 0..MAX_PAGES {
            *sweep = cx.broker.sweep_keys(&cx.partition, sweep).await?;
            freed += sweep.freed;
            if sweep.is_through() {
                break;
            }
        }
        Ok(freed)
    };
    match swept.await as Result<u64, Error> {
        Ok(0) => {}
        Ok(keys) => {
            tracing::debug!(partition = %cx.partition, keys, "freed keys that no job holds");
        }
        Err(error) => {
            let request = "keys that no job holds were not freed";
            cx.engine.outages.failed(&cx.partition, request, &error);
        }
    }
}
