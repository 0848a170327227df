//! Tells the hooks of this node of the jobs that were buried, by any node.

use poolder_core::Error;
use poolder_core::broker::TakenDeath;

use super::service_context::ServiceContext;
use crate::process::limits::RESTART_PAUSE;
use crate::run::dead_job::{DeadJob, tell};

pub(super) async fn run(cx: ServiceContext) {
    loop {
        let wait = match tell_some(&cx).await {
            Ok(0) => cx.poll(),
            Ok(_) => continue,
            Err(error) => {
                let request = "dead jobs could not be read for the hooks";
                cx.engine.outages.failed(&cx.partition, request, &error);
                RESTART_PAUSE
            }
        };
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            () = cx.deaths.notified() => {}
        }
    }
}

/// Tells the hooks of some deaths. Returns how many were taken.
async fn tell_some(cx: &ServiceContext) -> Result<usize, Error> {
    let deaths = cx.broker.take_deaths(&cx.partition).await?;
    let count = deaths.len();
    futures_util::future::join_all(deaths.into_iter().map(|death| tell_one(cx, death))).await;
    Ok(count)
}

async fn tell_one(cx: &ServiceContext, death: TakenDeath) {
    if let Some(job) = death.job.clone().map(DeadJob::new)
        && let Err(why) = tell(&cx.engine.spec.hooks, &job).await
    {
        let (job, tries) = (job.id(), death.tries);
        if death.is_last_try() {
            tracing::error!(
                partition = %cx.partition, %job, tries, why,
                "on_dead has failed, it is not called again for this job"
            );
        } else {
            tracing::warn!(
                partition = %cx.partition, %job, tries, why,
                "on_dead has failed, it is called again later"
            );
        }
        return;
    }
    if let Err(error) = cx.broker.death_told(&cx.partition, &death).await {
        let request = "on_dead has returned, which could not be noted: it is called again";
        cx.engine.outages.failed(&cx.partition, request, &error);
    }
}
