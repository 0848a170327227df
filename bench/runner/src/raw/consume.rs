//! Consumes with `XREADGROUP`, and `XACK` + `XDEL` of the previous jobs, in one round trip.

use bench_protocol::{Meter, Order, Stopwatch};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult, Value};

use super::{GROUP, STREAM};

/// Claims and settles batches of `concurrency` jobs until `jobs` are done.
pub(super) async fn drain(
    mut connection: MultiplexedConnection,
    order: &Order,
    meter: &Meter,
) -> RedisResult<()> {
    let consumer = format!("c{}", order.process);
    let mut ids: Vec<Vec<u8>> = vec![];
    loop {
        let left = order.jobs.saturating_sub(meter.count());
        if left == 0 && ids.is_empty() {
            return Ok(());
        }
        let mut pipe = redis::pipe();
        if !ids.is_empty() {
            pipe.add_command(settle("XACK", Some(GROUP), &ids));
            pipe.add_command(settle("XDEL", None, &ids));
        }
        let wanted = (order.concurrency as u64).min(left);
        if wanted > 0 {
            pipe.add_command(read(&consumer, wanted, None));
        }
        let reply = connection.req_packed_commands(&pipe, 0, pipe.len()).await?.pop();
        ids = if wanted > 0 { entries(reply.unwrap_or(Value::Nil)) } else { vec![] };
        meter.hits(ids.len() as u64);
    }
}

/// As [`drain`], with an owned connection, for a task.
pub(super) async fn drain_owned(
    connection: MultiplexedConnection,
    order: Order,
    meter: Meter,
) -> RedisResult<()> {
    drain(connection, &order, &meter).await
}

/// Claims jobs that are never settled.
pub(super) async fn hold(connection: &mut MultiplexedConnection, order: &Order) -> RedisResult<()> {
    connection.req_packed_command(&read("holder", order.running as u64, None)).await?;
    Ok(())
}

/// Claims single jobs as they arrive.
pub(super) async fn pick_up(mut connection: MultiplexedConnection, watch: Stopwatch, meter: Meter) {
    let mut n = 0;
    loop {
        let cmd = read("c", 1, Some(5000));
        let Ok(reply) = connection.req_packed_command(&cmd).await else { return };
        let ids = entries(reply);
        for _ in &ids {
            watch.started(n);
            n += 1;
        }
        if !ids.is_empty() {
            let mut pipe = redis::pipe();
            pipe.add_command(settle("XACK", Some(GROUP), &ids));
            pipe.add_command(settle("XDEL", None, &ids));
            if connection.req_packed_commands(&pipe, 0, pipe.len()).await.is_err() {
                return;
            }
        }
        meter.hits(ids.len() as u64);
    }
}

fn settle(command: &str, group: Option<&str>, ids: &[Vec<u8>]) -> Cmd {
    let mut cmd = redis::cmd(command);
    cmd.arg(STREAM).arg(group).arg(ids);
    cmd
}

fn read(consumer: &str, count: u64, block: Option<u64>) -> Cmd {
    let mut cmd = redis::cmd("XREADGROUP");
    cmd.arg("GROUP").arg(GROUP).arg(consumer).arg("COUNT").arg(count);
    if let Some(block) = block {
        cmd.arg("BLOCK").arg(block);
    }
    cmd.arg("STREAMS").arg(STREAM).arg(">");
    cmd
}

/// Returns the ids in a reply. The jobs themselves are not decoded.
fn entries(reply: Value) -> Vec<Vec<u8>> {
    let list = |value| match value {
        Value::Array(items) => items,
        _ => vec![],
    };
    let Some(stream) = list(reply).pop() else { return vec![] };
    let found = list(stream).pop().map(list).unwrap_or_default();
    found
        .into_iter()
        .filter_map(|entry| match list(entry).into_iter().next() {
            Some(Value::BulkString(id)) => Some(id),
            _ => None,
        })
        .collect()
}
