//! Jobs in every state, schedules, and the jobs that keep coming.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Backoff, JobState, QueueLimits, Receipt};
use poolder_core::Error;

use super::jobs::{
    Deliver, Export, Index, Invoice, Receipt as Paper, Thumbnail, Transcode, welcome,
};

const HOUR: Duration = Duration::from_secs(3_600);

/// Stores jobs, and waits until they have reached their states. The job that is tried again lets some
/// time pass between its attempts. Returns the handles.
pub(super) async fn sow(
    client: &Client,
    pace: Duration,
) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut jobs = BTreeMap::new();
    let mut keep = |state, receipt: &Receipt| {
        jobs.insert(state, receipt.handle().to_string());
    };
    client.schedule("digest", "30 7 * * *", welcome(7)).await?;
    client.schedule("prices", "@every 15m", Index { product: 1 }).await?;
    client.schedule("month-end", "0 2 1 * *", Export { month: "2026-11".into() }).await?;

    let once = Policy::default().attempts(1);
    let export = |month: &str| client.enqueue(Export { month: month.into() });
    keep("running", &export("2026-09").await?);
    until(client, "reports", |view| view.running() == 1).await?;
    client.pause("reports").await?;
    for month in 1..=9 {
        export(&format!("2025-0{month}")).lane(Lane::Low).await?;
    }
    let limits = client.limits("reports");
    limits.set(QueueLimits::new().concurrency(2).group_concurrency(1)).await?;
    for (group, months) in [("acme", 4), ("globex", 2)] {
        for month in 1..=months {
            export(&format!("2026-0{month}")).group(group).await?;
        }
    }
    limits.pause_group("globex").await?;
    for video in 0..340 {
        let ready = client.enqueue(Transcode { video, codec: "av1".into() }).await?;
        if video == 0 {
            keep("ready", &ready);
        }
    }
    for user in 0..42 {
        let later = client.enqueue(welcome(40 * user + 3)).after(HOUR + HOUR * user as u32 / 40);
        keep("scheduled", &later.await?);
    }
    for user in 0..24 {
        let dies =
            client.enqueue(welcome(40 * user + u64::from(user % 4 == 0))).policy(once.clone());
        keep("dead", &dies.header("tenant", "acme").await?);
    }
    until(client, "mail", |view| view.dead == 24).await?;
    let slow = Policy::default().attempts(5).backoff(Backoff::Fixed(Duration::from_secs(271)));
    for user in 0..30 {
        client.enqueue(welcome(40_000 + 40 * user)).policy(slow.clone()).await?;
    }
    let soon = Policy::default().attempts(5).backoff(Backoff::Fixed(Duration::from_secs(40)));
    let tried = client.enqueue(welcome(48_200)).policy(soon).header("tenant", "acme");
    let tried = tried.keep_completion(HOUR).await?;
    let job = client.job(tried.handle());
    for tries in 1..=4_usize {
        while job
            .view()
            .await?
            .is_none_or(|job| job.state != JobState::Retrying || job.attempts().len() < tries)
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        if tries < 4 {
            tokio::time::sleep(pace * tries as u32).await;
            job.run_now().await?;
        }
    }
    keep("retrying", &tried);
    let done = Paper { user: 7, to: "ana@example.org".into(), order: "o-1138".into() };
    let done = client.enqueue(done).keep_completion(HOUR).await?;
    client.job(done.handle()).wait::<String>().await?;
    keep("done", &done);
    let entries = client.batcher::<String>("audit-log");
    for entry in 0..120 {
        entries.push(format!("ann has read order {entry}")).await?;
    }
    client.pause("thumbs").await?;
    client.resume("thumbs").await?;
    Ok(jobs)
}

/// Waits until a queue is as it should be.
async fn until(
    client: &Client,
    queue: &str,
    is: impl Fn(&poolder::QueueView) -> bool,
) -> Result<(), Error> {
    while !is(&client.inspect(queue).overview().await?) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Sends jobs until it is stopped.
pub(super) async fn send(client: Client) {
    for n in 0_u64.. {
        if send_some(&client, n).await.is_err() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(60)).await;
    }
}

async fn send_some(client: &Client, n: u64) -> Result<(), Error> {
    let slow = Policy::default().attempts(5).backoff(Backoff::Fixed(Duration::from_secs(271)));
    client.enqueue(welcome(100_000 + 13 * n)).policy(slow).await?;
    client.enqueue(Index { product: n }).await?;
    if n.is_multiple_of(2) {
        let to = format!("user{n}@example.org");
        client.enqueue(Paper { user: n, to, order: format!("o-{n}") }).await?;
        let event = if n.is_multiple_of(120) { "order.lost" } else { "order.paid" };
        let url = "https://hooks.example.com".into();
        let few = Policy::default().attempts(3).backoff(Backoff::Fixed(HOUR));
        client.enqueue(Deliver { url, event: event.into() }).policy(few).await?;
    }
    client.enqueue(Thumbnail { picture: n }).await?;
    if n.is_multiple_of(4) {
        let account = n % 11;
        let billing = client.pool::<Invoice>("billing");
        billing.cast(Invoice { account }).key(account.to_string()).await?;
    }
    Ok(())
}
