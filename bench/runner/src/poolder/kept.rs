//! Measures what finished jobs cost that a pool keeps, beside the same jobs of a pool that keeps none.

use std::time::Duration;

use bench_protocol::{Meter, Report, Run, Work};
use poolder::{Client, Error, Pool};

use super::work::{self, Measured};

/// The jobs of each second: fewer than a node keeps in one.
const EACH_SECOND: u64 = 400;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// The keys of the finished jobs.
const KEYS: [&str; 2] = ["poolder:{bench.0}:finished", "poolder:{bench.0}:finished:bodies"];

/// Runs jobs at an even rate, and waits until all are kept that are to be.
pub(super) async fn run(run: &Run, client: &Client, meter: &Meter) -> Result<Report, Error> {
    let order = &run.order;
    let is_kept = order.work == Work::PacedKept;
    let worker = Measured::new(order, meter);
    let mut pool = Pool::new("bench").size(super::slots(order));
    if is_kept {
        pool = pool.keep_finished(10_000, DAY);
    }
    super::start(client, pool.worker(worker));
    tokio::time::sleep(Duration::from_millis(500)).await;
    run.ready();
    meter.start();
    let mut sent = 0;
    while sent < order.jobs {
        let some = EACH_SECOND.min(order.jobs - sent);
        work::bulk(client, order, some, &Meter::new(u64::MAX)).await?;
        sent += some;
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    meter.reached().await;
    work::settled(&order.url, super::STREAM, 0).await;
    let mut bytes = None;
    if is_kept {
        while client.inspect("bench").overview().await?.finished < order.jobs {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        bytes = memory(&order.url).await.map(|bytes| bytes as f64 / order.jobs as f64);
    }
    Ok(Report { bytes, ..meter.report() })
}

/// Returns the memory that the server reports for the finished jobs.
async fn memory(url: &str) -> Option<u64> {
    let client = redis::Client::open(url).ok()?;
    let mut connection = client.get_multiplexed_async_connection().await.ok()?;
    let mut sum = 0;
    for key in KEYS {
        let mut usage = redis::cmd("MEMORY");
        usage.arg("USAGE").arg(key).arg("SAMPLES").arg(0);
        sum += usage.query_async::<u64>(&mut connection).await.ok()?;
    }
    Some(sum)
}
