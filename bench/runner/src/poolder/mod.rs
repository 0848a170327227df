//! Runs Poolder as an application would set it up.

pub mod addressed;
mod batches;
mod commands;
mod fleet;
mod kept;
mod longest;
mod look;
mod schedules;
mod work;

use std::time::Duration;

use bench_protocol::{Lateness, Meter, Payload, Report, Run, Stopwatch, Work};
use poolder::{Client, Config, Context, Error, Job, Node, Outcome, Pool, worker_fn};
use serde::{Deserialize, Serialize};
use work::Measured;

/// The stream in which the jobs wait.
pub const STREAM: &str = "poolder:{bench.0}:ready:normal";

/// The stream of the jobs that a limited queue has admitted.
const ADMITTED: &str = "poolder:{bench.0}:ready:front";

/// The job that is measured.
#[derive(Debug, Serialize, Deserialize)]
#[serde(transparent)]
struct Bench(Payload);

impl Job for Bench {
    const KINDS: &'static [&'static str] = &["bench.job"];
    const QUEUE: &'static str = "bench";
}

/// A job that runs beside the measured ones and does not end.
#[derive(Debug, Serialize, Deserialize)]
struct Hold;

impl Job for Hold {
    const KINDS: &'static [&'static str] = &["bench.hold"];
    const QUEUE: &'static str = "bench";
}

/// Runs the order.
pub async fn run(run: Run) -> ! {
    match attempt(&run).await {
        Ok(report) => run.done(&report),
        Err(error) => run.not_run(&error.to_string()),
    }
}

/// Returns the number of slots for the concurrency that is asked for.
fn slots(order: &bench_protocol::Order) -> u16 {
    u16::try_from(order.concurrency).unwrap_or(u16::MAX)
}

async fn attempt(run: &Run) -> std::result::Result<Report, Error> {
    let order = &run.order;
    let client = Client::new(Config::new(&order.url))?;
    client.ping().await?;
    let meter = Meter::new(order.jobs);
    let slots = slots(order);
    match order.work {
        Work::Enqueue | Work::EnqueueIdempotent | Work::EnqueueUnique | Work::EnqueueDuplicate => {
            work::warm_up(&client).await;
            run.ready();
            work::one_by_one(&client, order, &meter).await?;
        }
        Work::EnqueueGroups => {
            work::limit(&client, order).await?;
            run.ready();
            work::one_by_one(&client, order, &meter).await?;
        }
        Work::StoreGroups => {
            work::limit(&client, order).await?;
            run.ready();
            work::fill_groups(&client, order, order.jobs).await?;
            return Ok(Report { jobs: order.jobs, ..Report::default() });
        }
        Work::DrainGroups => {
            work::limit(&client, order).await?;
            if order.running > 0 {
                work::hold(&client, order.running, true).await?;
            }
            work::fill_groups(&client, order, order.backlog).await?;
            run.ready();
            let worker = Measured::new(order, &meter);
            start(&client, Pool::new("bench").size(slots).worker(worker));
            meter.reached().await;
            if order.jobs == order.backlog {
                work::settled(&order.url, ADMITTED, order.running).await;
            }
        }
        Work::Bulk | Work::StoreReady => {
            work::warm_up(&client).await;
            run.ready();
            work::bulk(&client, order, order.jobs, &meter).await?;
        }
        Work::StoreDelayed => {
            work::warm_up(&client).await;
            run.ready();
            work::store_delayed(&client, order, order.jobs).await?;
            return Ok(Report { jobs: order.jobs, ..Report::default() });
        }
        Work::Drain | Work::Retry => {
            if order.running > 0 {
                work::hold(&client, order.running, false).await?;
            }
            if order.process == 0 {
                work::fill(&client, order).await?;
            }
            run.ready();
            let worker = Measured::new(order, &meter);
            start(&client, Pool::new("bench").size(slots).worker(worker));
            meter.reached().await;
            if order.jobs == order.backlog {
                work::settled(&order.url, STREAM, order.running).await;
            }
        }
        Work::Paced | Work::PacedKept => return kept::run(run, &client, &meter).await,
        Work::Both | Work::BothBulk => {
            work::warm_up(&client).await;
            let worker = Measured::new(order, &meter);
            start(&client, Pool::new("bench").size(slots).worker(worker));
            tokio::time::sleep(Duration::from_millis(300)).await;
            run.ready();
            meter.start();
            let sent = Meter::new(order.jobs);
            // A separate client for the producer, as in another process.
            let producer = Client::new(Config::new(&order.url))?;
            if order.work == Work::BothBulk {
                work::bulk(&producer, order, order.jobs, &sent).await?;
            } else {
                work::one_by_one(&producer, order, &sent).await?;
            }
            meter.reached().await;
        }
        Work::Pickup => {
            let watch = Stopwatch::new(order.jobs);
            let (seen, count) = (watch.clone(), meter.clone());
            let handler = move |job: Bench, _cx: Context| {
                seen.started(job.0.n);
                count.hit();
                std::future::ready(Outcome::Done)
            };
            start(&client, Pool::new("bench").size(slots).worker(worker_fn(handler)));
            tokio::time::sleep(Duration::from_millis(500)).await;
            run.ready();
            work::every_20_ms(&client, order, &watch).await?;
            meter.reached().await;
            return Ok(Report { latency: Some(watch.latency()), ..meter.report() });
        }
        Work::Delayed | Work::DelayedAtOnce => {
            let late = Lateness::default();
            let (seen, count) = (late.clone(), meter.clone());
            let handler = move |job: Bench, _cx: Context| {
                seen.started(job.0.n);
                count.hit();
                std::future::ready(Outcome::Done)
            };
            work::store_delayed(&client, order, order.backlog).await?;
            start(&client, Pool::new("bench").size(slots).worker(worker_fn(handler)));
            tokio::time::sleep(Duration::from_millis(500)).await;
            run.ready();
            work::delayed(&client, order).await?;
            meter.reached().await;
            return Ok(Report { latency: Some(late.latency()), ..meter.report() });
        }
        Work::Ticks | Work::TicksAtOnce => return schedules::lateness(run, &client).await,
        Work::Takeover => return schedules::takeover(run, &client).await,
        Work::Schedules => return schedules::cost(run, &client).await,
        Work::Push | Work::PushBulk | Work::Seal | Work::Timeout => {
            return batches::run(&client, run, &meter).await;
        }
        Work::Idle => return fleet::idle(run, &meter).await,
        Work::Herd | Work::HerdBusy => return fleet::herd(run, &meter).await,
        Work::LookOverview
        | Work::LookPage
        | Work::LookSearch
        | Work::LookFind
        | Work::LookCommand => {
            return look::run(run, &client).await;
        }
    }
    Ok(meter.report())
}

/// Starts a node, which ends with the process.
fn start(client: &Client, pool: Pool) {
    let node = Node::builder(client.clone()).pool(pool);
    tokio::spawn(async move {
        if let Err(error) = node.run_until(std::future::pending()).await {
            eprintln!("the node ended: {error}");
        }
    });
}
