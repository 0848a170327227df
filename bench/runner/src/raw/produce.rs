//! Produces with `XADD`, one at a time and in pipelines.

use std::time::Duration;

use bench_protocol::{Meter, Order, Stopwatch, text};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult};

use super::STREAM;

/// The number of commands in a pipeline; larger pipelines are not faster.
const PIPELINE: u64 = 64;

fn xadd(n: u64, payload: &str) -> Cmd {
    let mut cmd = Cmd::with_capacity(5, payload.len() + 64);
    // The number pads the entry to the length of the other contenders' jobs, which carry one.
    cmd.arg("XADD").arg(STREAM).arg("*").arg("p").arg(format!("{n:024}{payload}"));
    cmd
}

/// Enqueues from `concurrency` callers on one connection.
pub(super) async fn one_by_one(
    connection: &MultiplexedConnection,
    order: &Order,
    meter: &Meter,
) -> RedisResult<()> {
    let payload = text(order.payload);
    let callers = order.concurrency as u64;
    meter.start();
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (mut connection, payload, meter) = (connection.clone(), payload.clone(), meter.clone());
        let jobs = order.jobs / callers + u64::from(caller < order.jobs % callers);
        tasks.spawn(async move {
            for n in 0..jobs {
                connection.req_packed_command(&xadd(n, &payload)).await?;
                meter.hit();
            }
            RedisResult::Ok(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| redis::RedisError::from(std::io::Error::other(error)))??;
    }
    Ok(())
}

/// Enqueues from one caller, in pipelines.
pub(super) async fn bulk(
    connection: &MultiplexedConnection,
    order: &Order,
    jobs: u64,
    meter: &Meter,
) -> RedisResult<()> {
    let (payload, mut connection) = (text(order.payload), connection.clone());
    meter.start();
    let mut sent = 0;
    while sent < jobs {
        let now = PIPELINE.min(jobs - sent);
        let mut pipe = redis::pipe();
        for n in sent..sent + now {
            pipe.add_command(xadd(n, &payload));
        }
        connection.req_packed_commands(&pipe, 0, pipe.len()).await?;
        sent += now;
        meter.hits(now);
    }
    Ok(())
}

/// Enqueues one job every 20 ms.
pub(super) async fn every_20_ms(
    connection: &mut MultiplexedConnection,
    order: &Order,
    watch: &Stopwatch,
) -> RedisResult<()> {
    let payload = text(order.payload);
    for n in 0..order.jobs {
        watch.sends(n);
        connection.req_packed_command(&xadd(n, &payload)).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
