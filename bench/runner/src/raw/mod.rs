//! The ceiling: a loop over Redis streams that knows nothing of jobs, loses none when it is killed,
//! and sends no more than it must. It uses `XADD`, and `XACK` + `XDEL` + `XREADGROUP` of a whole
//! batch in one round trip.

mod batches;
mod consume;
mod produce;

use std::time::Duration;

use bench_protocol::{Meter, Report, Run, Stopwatch, Work};
use redis::aio::MultiplexedConnection;

/// The stream in which the jobs wait.
pub const STREAM: &str = "raw";
const GROUP: &str = "g";

/// Runs the order.
pub async fn run(run: Run) -> ! {
    match attempt(&run).await {
        Ok(Some(report)) => run.done(&report),
        Ok(None) => run.not_run("a raw loop has no such thing"),
        Err(error) => run.not_run(&error.to_string()),
    }
}

async fn attempt(run: &Run) -> redis::RedisResult<Option<Report>> {
    let order = &run.order;
    let mut connection = connect(&order.url).await?;
    if order.process == 0 {
        let mut create = redis::cmd("XGROUP");
        create.arg("CREATE").arg(STREAM).arg(GROUP).arg("0").arg("MKSTREAM");
        create.exec_async(&mut connection).await?;
    }
    let meter = Meter::new(order.jobs);
    match order.work {
        Work::Enqueue => {
            run.ready();
            produce::one_by_one(&connection, order, &meter).await?;
        }
        Work::Bulk => {
            run.ready();
            produce::bulk(&connection, order, order.jobs, &meter).await?;
        }
        Work::Drain => {
            if order.handler_ms > 0 {
                return Ok(None);
            }
            if order.process == 0 {
                let jobs = order.backlog + order.running as u64;
                produce::bulk(&connection, order, jobs, &Meter::new(u64::MAX)).await?;
            }
            if order.running > 0 {
                consume::hold(&mut connection, order).await?;
            }
            run.ready();
            consume::drain(connection, order, &meter).await?;
        }
        Work::Both | Work::BothBulk => {
            run.ready();
            meter.start();
            let consumer = connect(&order.url).await?;
            let bulk = order.work == Work::BothBulk;
            let (produced, consumed) = tokio::join!(
                async {
                    let sent = Meter::new(order.jobs);
                    if bulk {
                        produce::bulk(&connection, order, order.jobs, &sent).await
                    } else {
                        produce::one_by_one(&connection, order, &sent).await
                    }
                },
                tokio::spawn(consume::drain_owned(consumer, order.clone(), meter.clone())),
            );
            produced?;
            consumed.map_err(|error| redis::RedisError::from(std::io::Error::other(error)))??;
        }
        Work::Pickup => {
            let watch = Stopwatch::new(order.jobs);
            let consumer = connect(&order.url).await?;
            tokio::spawn(consume::pick_up(consumer, watch.clone(), meter.clone()));
            tokio::time::sleep(Duration::from_millis(200)).await;
            run.ready();
            produce::every_20_ms(&mut connection, order, &watch).await?;
            meter.reached().await;
            return Ok(Some(Report { latency: Some(watch.latency()), ..meter.report() }));
        }
        Work::StoreReady => {
            run.ready();
            produce::bulk(&connection, order, order.jobs, &meter).await?;
        }
        Work::Push | Work::PushBulk | Work::Seal | Work::Timeout => {
            return batches::run(&connection, run, &meter).await;
        }
        Work::Paced
        | Work::PacedKept
        | Work::EnqueueIdempotent
        | Work::EnqueueGroups
        | Work::DrainGroups
        | Work::StoreGroups
        | Work::EnqueueUnique
        | Work::EnqueueDuplicate
        | Work::Delayed
        | Work::DelayedAtOnce
        | Work::Retry
        | Work::Idle
        | Work::Herd
        | Work::HerdBusy
        | Work::LookOverview
        | Work::LookPage
        | Work::LookSearch
        | Work::LookFind
        | Work::LookCommand
        | Work::StoreDelayed
        | Work::Ticks
        | Work::TicksAtOnce
        | Work::Takeover
        | Work::Schedules => {
            return Ok(None);
        }
    }
    Ok(Some(meter.report()))
}

async fn connect(url: &str) -> redis::RedisResult<MultiplexedConnection> {
    let config = redis::AsyncConnectionConfig::new()
        .set_connection_timeout(Some(Duration::from_secs(2)))
        .set_response_timeout(Some(Duration::from_secs(30)));
    redis::Client::open(url)?.get_multiplexed_async_connection_with_config(&config).await
}
