//! Measures batchers.

use std::time::Duration;

use bench_protocol::{Lateness, Meter, Order, Payload, Report, Run, Stopwatch, Work};
use poolder::{
    Batch, BatchOptions, BatchWorker, Batcher, BatcherHandle, Client, Context, Error, Node,
    Outcome, Result,
};

const NAME: &str = "bench";
/// The number of entries in one bulk call.
const BULK: u64 = 50_000;
/// A timeout longer than any run.
const LONG: Duration = Duration::from_secs(3_600);

/// Runs the order.
pub(super) async fn run(client: &Client, run: &Run, meter: &Meter) -> Result<Report, Error> {
    let order = &run.order;
    match order.work {
        Work::PushBulk => {
            let handle = declared(client, order.limit).await?;
            run.ready();
            in_bulk(&handle, order, order.jobs, meter).await?;
        }
        Work::Seal => {
            let handle = declared(client, 1_000_000).await?;
            for n in 0..order.jobs {
                let entries = (0..order.backlog).map(|n| Payload::new(n, order.payload));
                handle.group(n.to_string()).push_many(entries).await.all()?;
            }
            run.ready();
            let watch = Stopwatch::new(order.jobs);
            for n in 0..order.jobs {
                let group = handle.group(n.to_string());
                watch.sends(n);
                group.flush().await?;
                watch.started(n);
                meter.hit();
            }
            return Ok(Report { latency: Some(watch.latency()), ..meter.report() });
        }
        Work::Timeout => return timeouts(client, run, meter).await,
        _ => {
            let handle = declared(client, order.limit).await?;
            run.ready();
            one_by_one(&handle, order, meter).await?;
        }
    }
    Ok(meter.report())
}

/// Returns a handle whose options are stored, and which has not pushed yet.
async fn declared(client: &Client, limit: u32) -> Result<BatcherHandle<Payload>, Error> {
    let handle = client.batcher(NAME);
    handle.declare(BatchOptions::default().limit(limit).timeout(LONG)).await?;
    Ok(handle)
}

/// Pushes from `concurrency` callers, each one entry at a time.
async fn one_by_one(
    handle: &BatcherHandle<Payload>,
    order: &Order,
    meter: &Meter,
) -> Result<(), Error> {
    meter.start();
    let callers = order.concurrency as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (handle, meter, size) = (handle.clone(), meter.clone(), order.payload);
        let entries = order.jobs / callers + u64::from(caller < order.jobs % callers);
        tasks.spawn(async move {
            for n in 0..entries {
                handle.push(Payload::new(n, size)).await?;
                meter.hit();
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a caller does not panic")?;
    }
    Ok(())
}

/// Pushes from one caller, many entries in each call.
async fn in_bulk(
    handle: &BatcherHandle<Payload>,
    order: &Order,
    entries: u64,
    meter: &Meter,
) -> Result<(), Error> {
    meter.start();
    let mut sent = 0;
    while sent < entries {
        let now = BULK.min(entries - sent);
        let some = (sent..sent + now).map(|n| Payload::new(n, order.payload));
        handle.push_many(some).await.all()?;
        sent += now;
        meter.hits(now);
    }
    Ok(())
}

/// A batch worker that records how late each batch starts after its timeout.
#[derive(Clone)]
struct Late {
    late: Lateness,
    timeout_ms: u64,
    meter: Meter,
}

impl BatchWorker for Late {
    type Entry = Payload;

    async fn handle_batch(&mut self, batch: &mut Batch<Payload>, _cx: Context) -> Result<Outcome> {
        let since = u64::try_from(batch.since().millis()).unwrap_or(0);
        self.late.started(since + self.timeout_ms);
        self.meter.hit();
        batch.skip_rest();
        Ok(Outcome::Done)
    }
}

/// Pushes one entry every 5 ms, each into its own group, so that each becomes a batch by timeout.
async fn timeouts(client: &Client, run: &Run, meter: &Meter) -> Result<Report, Error> {
    let (order, late) = (&run.order, Lateness::default());
    let worker = Late { late: late.clone(), timeout_ms: order.delay_ms, meter: meter.clone() };
    let batcher = Batcher::new(NAME, worker)
        .timeout(Duration::from_millis(order.delay_ms))
        .size(super::slots(order));
    let handle = batcher.handle(client);
    let node = Node::builder(client.clone()).add(batcher);
    tokio::spawn(async move {
        if let Err(error) = node.run_until(std::future::pending()).await {
            eprintln!("the node ended: {error}");
        }
    });
    // Time for the node to take its first lease.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    run.ready();
    for n in 0..order.jobs {
        handle.group(n.to_string()).push(Payload::new(n, order.payload)).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    meter.reached().await;
    Ok(Report { latency: Some(late.latency()), ..meter.report() })
}
