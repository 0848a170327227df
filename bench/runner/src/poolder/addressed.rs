//! Measures the same jobs in a pool of each mode, with 64 slots in one process: the cost of
//! addressing jobs to slots, compared with the shared pool.

use std::time::Duration;

use bench_protocol::{Meter, Order, Payload, Report, Run, Work};
use poolder::{Client, Config, Error, Job, Mode, Pool, PoolClient, QueueName};

use super::slots;
use super::work::{self, Measured};
use super::{Bench, start};

/// The modes. The shared pool is the first, and the others are given as multiples of it.
pub const MODES: [&str; 6] = ["shared", "round_robin", "random", "monotonic", "phash", "broadcast"];
/// Concurrent casts.
const CALLERS: u64 = 64;
/// The number of broadcasts cast before the slots have run them. A slot misses broadcasts once a
/// thousand copies wait for it.
const BROADCASTS_AHEAD: u64 = 400;

/// Runs the order in a pool of this mode.
pub async fn run(run: Run, mode: &str) -> ! {
    match attempt(&run, mode).await {
        Ok(report) => run.done(&report),
        Err(error) => run.not_run(&error.to_string()),
    }
}

async fn attempt(run: &Run, mode: &str) -> Result<Report, Error> {
    let (order, mode): (&Order, Mode) = (&run.order, mode.parse()?);
    let client = Client::new(Config::new(&order.url))?;
    let meter = Meter::new(order.jobs);
    let worker = Measured::new(order, &meter);
    let pool = Pool::new(Bench::QUEUE).size(slots(order)).mode(mode).worker(worker);
    // A separate client for the producer, as in another process.
    let producer = Client::new(Config::new(&order.url))?;
    let caster = producer.pool::<Bench>(Bench::QUEUE);
    let backlog = order.work == Work::Drain && mode != Mode::Broadcast;
    if backlog {
        if mode == Mode::Shared {
            work::fill(&producer, order).await?;
        } else {
            let (name, size) = (QueueName::new(Bench::QUEUE)?, slots(order));
            client.broker().define_pool(&name, mode, size).await?;
            cast_all(&caster, order).await?;
        }
        run.ready();
        start(&client, pool);
    } else {
        start(&client, pool);
        tokio::time::sleep(Duration::from_millis(1500)).await;
        run.ready();
        meter.start();
        match mode {
            Mode::Shared => work::one_by_one(&producer, order, &Meter::new(order.jobs)).await?,
            Mode::Broadcast => broadcast(&caster, order, &meter).await?,
            _ => cast_all(&caster, order).await?,
        }
    }
    meter.reached().await;
    Ok(meter.report())
}

/// Casts jobs from many concurrent callers, each one job at a time.
async fn cast_all(pool: &PoolClient<Bench>, order: &Order) -> Result<(), Error> {
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (pool, jobs, size) = (pool.clone(), order.jobs, order.payload);
        tasks.spawn(async move {
            for n in (caller..jobs).step_by(CALLERS as usize) {
                pool.cast(Bench(Payload::new(n, size))).await?;
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a caller does not panic")?;
    }
    Ok(())
}

/// Broadcasts jobs: one cast is one delivery to each slot.
async fn broadcast(pool: &PoolClient<Bench>, order: &Order, meter: &Meter) -> Result<(), Error> {
    let slots = order.concurrency as u64;
    for n in 0..order.jobs.div_ceil(slots) {
        while n > meter.count() / slots + BROADCASTS_AHEAD {
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        pool.cast(Bench(Payload::new(n, order.payload))).await?;
    }
    Ok(())
}
