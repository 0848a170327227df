//! The cost of a list: `RPUSH` of one entry and of many, and a rename beside an `XADD`.

use bench_protocol::{Meter, Order, Report, Run, Stopwatch, Work, text};
use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::{Cmd, RedisResult};

const LIST: &str = "raw:list";
/// The number of entries in one command, the same as in one of Poolder's calls.
const CHUNK: u64 = 500;

/// Runs the order; returns `None` for work that a raw loop cannot do.
pub(super) async fn run(
    connection: &MultiplexedConnection,
    run: &Run,
    meter: &Meter,
) -> RedisResult<Option<Report>> {
    let (order, mut connection) = (&run.order, connection.clone());
    match order.work {
        Work::Push => {
            run.ready();
            one_by_one(&connection, order, meter).await?;
        }
        Work::PushBulk => {
            run.ready();
            meter.start();
            in_bulk(&mut connection, LIST, order, order.jobs, meter).await?;
        }
        Work::Seal => {
            let uncounted = Meter::new(u64::MAX);
            for n in 0..order.jobs {
                let list = format!("{LIST}:{n}");
                in_bulk(&mut connection, &list, order, order.backlog, &uncounted).await?;
            }
            run.ready();
            let watch = Stopwatch::new(order.jobs);
            for n in 0..order.jobs {
                watch.sends(n);
                let mut pipe = redis::pipe();
                pipe.atomic().cmd("RENAMENX").arg(format!("{LIST}:{n}")).arg(format!("done:{n}"));
                pipe.cmd("XADD").arg(super::STREAM).arg("*").arg("p").arg(n);
                pipe.exec_async(&mut connection).await?;
                watch.started(n);
                meter.hit();
            }
            return Ok(Some(Report { latency: Some(watch.latency()), ..meter.report() }));
        }
        _ => return Ok(None),
    }
    Ok(Some(meter.report()))
}

/// Returns an entry of the same length as Poolder's, formatted as cheaply as possible.
fn entry(n: u64, text: &str) -> String {
    format!("{n:024}{text}")
}

async fn one_by_one(
    connection: &MultiplexedConnection,
    order: &Order,
    meter: &Meter,
) -> RedisResult<()> {
    meter.start();
    let callers = order.concurrency as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (mut connection, meter, text) =
            (connection.clone(), meter.clone(), text(order.payload));
        let entries = order.jobs / callers + u64::from(caller < order.jobs % callers);
        tasks.spawn(async move {
            for n in 0..entries {
                let mut cmd = Cmd::with_capacity(3, text.len() + 64);
                cmd.arg("RPUSH").arg(LIST).arg(entry(n, &text));
                connection.req_packed_command(&cmd).await?;
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

async fn in_bulk(
    connection: &mut MultiplexedConnection,
    list: &str,
    order: &Order,
    entries: u64,
    meter: &Meter,
) -> RedisResult<()> {
    let (text, mut sent) = (text(order.payload), 0);
    while sent < entries {
        let now = CHUNK.min(entries - sent);
        let mut cmd = redis::cmd("RPUSH");
        cmd.arg(list);
        for n in sent..sent + now {
            cmd.arg(entry(n, &text));
        }
        connection.req_packed_command(&cmd).await?;
        sent += now;
        meter.hits(now);
    }
    Ok(())
}
