//! The interface that a peer in Rust implements, and the works built on it, the same for all peers.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::{Lateness, Meter, Order, Payload, Report, Run, Stopwatch, Work};

/// Any error of a peer.
pub type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The handler of each job, which only counts.
pub type Handler = Arc<dyn Fn(Payload) + Send + Sync>;

/// A queue under the benchmark.
pub trait Peer: Clone + Send + Sync + 'static {
    /// Enqueues one job.
    fn enqueue(&self, job: Payload) -> impl Future<Output = Result<(), AnyError>> + Send;

    /// Enqueues many jobs, with the peer's bulk call where it has one.
    fn enqueue_many(&self, jobs: Vec<Payload>)
    -> impl Future<Output = Result<(), AnyError>> + Send;

    /// Enqueues a job that is due later.
    fn enqueue_after(
        &self,
        job: Payload,
        delay: Duration,
    ) -> impl Future<Output = Result<(), AnyError>> + Send;

    /// Starts a worker with `concurrency` slots, which runs until the process ends.
    fn work(&self, concurrency: usize, handler: Handler);
}

/// The number of jobs in one bulk call.
const BULK: u64 = 1000;

/// Runs the order with a peer.
pub async fn run<P: Peer>(run: Run, peer: P) -> ! {
    match attempt(&run, &peer).await {
        Ok(Some(report)) => run.done(&report),
        Ok(None) => run.not_run("not compared"),
        Err(error) => run.not_run(&error.to_string()),
    }
}

async fn attempt<P: Peer>(run: &Run, peer: &P) -> Result<Option<Report>, AnyError> {
    let order = &run.order;
    let meter = Meter::new(order.jobs);
    let count = meter.clone();
    let counting: Handler = Arc::new(move |_| count.hit());
    match order.work {
        Work::Enqueue => {
            run.ready();
            one_by_one(peer, order, &meter).await?;
        }
        Work::Bulk | Work::StoreReady => {
            run.ready();
            bulk(peer, order, &meter).await?;
        }
        Work::Drain => {
            bulk(peer, order, &Meter::new(u64::MAX)).await?;
            run.ready();
            peer.work(order.concurrency, counting);
            meter.reached().await;
        }
        Work::Both => {
            peer.work(order.concurrency, counting);
            tokio::time::sleep(Duration::from_millis(500)).await;
            run.ready();
            meter.start();
            one_by_one(peer, order, &Meter::new(u64::MAX)).await?;
            meter.reached().await;
        }
        Work::Pickup => {
            let watch = Stopwatch::new(order.jobs);
            let (seen, count) = (watch.clone(), meter.clone());
            peer.work(
                order.concurrency,
                Arc::new(move |job| {
                    seen.started(job.n);
                    count.hit();
                }),
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
            run.ready();
            for n in 0..order.jobs {
                watch.sends(n);
                peer.enqueue(Payload::new(n, order.payload)).await?;
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            meter.reached().await;
            return Ok(Some(Report { latency: Some(watch.latency()), ..meter.report() }));
        }
        Work::Delayed => {
            let late = Lateness::default();
            let (seen, count) = (late.clone(), meter.clone());
            peer.work(
                order.concurrency,
                Arc::new(move |job| {
                    seen.started(job.n);
                    count.hit();
                }),
            );
            tokio::time::sleep(Duration::from_millis(500)).await;
            run.ready();
            let delay = Duration::from_millis(order.delay_ms);
            for _ in 0..order.jobs {
                let due = (SystemTime::now() + delay).duration_since(UNIX_EPOCH)?.as_millis();
                let job = Payload::new(u64::try_from(due)?, order.payload);
                peer.enqueue_after(job, delay).await?;
            }
            let limit = Duration::from_secs(30);
            if tokio::time::timeout(limit, meter.reached()).await.is_err() {
                let missing = order.jobs - meter.count();
                return Err(format!("{missing} of them had not run {limit:?} later").into());
            }
            return Ok(Some(Report { latency: Some(late.latency()), ..meter.report() }));
        }
        Work::Idle => {
            peer.work(order.concurrency, counting);
            tokio::time::sleep(Duration::from_secs(2)).await;
            run.ready();
            tokio::time::sleep(Duration::from_secs(order.seconds)).await;
            return Ok(Some(Report { seconds: order.seconds as f64, ..Report::default() }));
        }
        Work::Paced
        | Work::PacedKept
        | Work::EnqueueIdempotent
        | Work::EnqueueGroups
        | Work::DrainGroups
        | Work::StoreGroups
        | Work::EnqueueUnique
        | Work::EnqueueDuplicate
        | Work::BothBulk
        | Work::DelayedAtOnce
        | Work::Retry
        | Work::Herd
        | Work::HerdBusy
        | Work::StoreDelayed
        | Work::Ticks
        | Work::TicksAtOnce
        | Work::Takeover
        | Work::Schedules
        | Work::Push
        | Work::PushBulk
        | Work::Seal
        | Work::Timeout
        | Work::LookOverview
        | Work::LookPage
        | Work::LookSearch
        | Work::LookFind
        | Work::LookCommand => {
            return Ok(None);
        }
    }
    Ok(Some(meter.report()))
}

async fn one_by_one<P: Peer>(peer: &P, order: &Order, meter: &Meter) -> Result<(), AnyError> {
    meter.start();
    let callers = order.concurrency as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (peer, meter, size) = (peer.clone(), meter.clone(), order.payload);
        let jobs = order.jobs / callers + u64::from(caller < order.jobs % callers);
        tasks.spawn(async move {
            for n in 0..jobs {
                peer.enqueue(Payload::new(n, size)).await?;
                meter.hit();
            }
            Ok::<_, AnyError>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended??;
    }
    Ok(())
}

async fn bulk<P: Peer>(peer: &P, order: &Order, meter: &Meter) -> Result<(), AnyError> {
    meter.start();
    let mut sent = 0;
    while sent < order.jobs {
        let now = BULK.min(order.jobs - sent);
        let jobs = (sent..sent + now).map(|n| Payload::new(n, order.payload)).collect();
        peer.enqueue_many(jobs).await?;
        sent += now;
        meter.hits(now);
    }
    Ok(())
}
