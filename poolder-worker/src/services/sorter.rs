//! Puts the jobs that come to a limited queue into their groups, and counts now and then how many
//! jobs of each group run.

use std::time::{Duration, Instant};

use poolder_core::Error;
use poolder_core::broker::{IntakeWait, SortedUpTo, Suspicion};

use super::service_context::{POLL, ServiceContext};
use crate::process::commands::KnownCommands;

/// How often the jobs that run are counted.
const RECOUNT: Duration = Duration::from_secs(15);
/// How often the end of limits is looked after, while jobs wait in groups.
const ENDING: Duration = Duration::from_millis(200);

pub(super) async fn run(cx: ServiceContext) {
    let mut commands = cx.commands.subscribe();
    loop {
        cx.until_leading().await;
        // This cannot fail, since `cx` holds the sender.
        let _ = commands.wait_for(KnownCommands::is_limited).await;
        if let Err(error) = sort_while_leading(&cx).await {
            cx.engine.outages.failed(&cx.partition, "jobs were not put into groups", &error);
            tokio::time::sleep(POLL).await;
        }
    }
}

/// Sorts while this node leads and the queue has limits.
async fn sort_while_leading(cx: &ServiceContext) -> Result<(), Error> {
    let (mut up_to, mut suspected) = (SortedUpTo::default(), Suspicion::default());
    let mut intake = IntakeWait::open(&cx.broker, &cx.partition).await?;
    let mut recounted = Instant::now();
    while cx.is_leading() && cx.commands.borrow().is_limited() {
        if recounted.elapsed() >= RECOUNT {
            recounted = Instant::now();
            let groups = cx.broker.recount_groups(&cx.partition, &mut suspected).await?;
            if groups > 0 {
                tracing::warn!(
                    partition = %cx.partition, groups,
                    "corrected how many jobs of groups run: entries were removed by others"
                );
            }
        }
        match cx.broker.sort(&cx.partition, &mut up_to).await? {
            Some(0) => intake.wait(&up_to, POLL).await?,
            Some(_) => {}
            None => {
                cx.broker.go_on_ending_limits(&cx.partition).await?;
                tokio::time::sleep(ENDING).await;
            }
        }
    }
    Ok(())
}
