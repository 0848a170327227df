//! Measures what many nodes cost the server: idle ones, and those that wait beside the one that a
//! job goes to. Each node has a client, and so connections, of its own.

use std::time::{Duration, Instant};

use bench_protocol::{Meter, Order, Payload, Report, Run, Stopwatch, Work};
use poolder::{Client, Config, Context, Error, Node, Outcome, Pool, worker_fn};

use super::Bench;
use super::work::Measured;

/// How long the nodes run before anything is measured: they have sent beats, know the size of the
/// fleet, and have opened their connections.
const WARM_UP: Duration = Duration::from_secs(12);
/// How long idle nodes run before they are measured: their pools wait together after 10 s without a
/// job, and those that rest make long pauses.
const IDLE_WARM_UP: Duration = Duration::from_secs(25);
/// How long the server's CPU time for the idle fleet is measured.
const IDLE: Duration = Duration::from_secs(10);
/// The pause between two jobs of an idle fleet.
const PAUSE: Duration = Duration::from_millis(3);

/// Runs idle nodes, with a pool for each of the queues.
pub(super) async fn idle(run: &Run, meter: &Meter) -> std::result::Result<Report, Error> {
    let order = &run.order;
    for _ in 0..order.nodes {
        let mut node = Node::builder(connect(order).await?);
        for queue in 0..order.queues {
            let pool = Pool::new(format!("bench{queue}")).size(super::slots(order));
            node = node.pool(pool.worker(Measured::new(order, meter)));
        }
        tokio::spawn(node.run_until(std::future::pending()));
    }
    tokio::time::sleep(IDLE_WARM_UP).await;
    run.ready();
    tokio::time::sleep(Duration::from_secs(order.seconds)).await;
    Ok(Report { seconds: order.seconds as f64, ..Report::default() })
}

/// Runs a fleet, and gives it jobs.
pub(super) async fn herd(run: &Run, meter: &Meter) -> std::result::Result<Report, Error> {
    let order = &run.order;
    let (watch, time) = (Stopwatch::new(order.jobs), Duration::from_millis(order.handler_ms));
    let (done, mut ended) = tokio::sync::watch::channel(0_u64);
    let done = std::sync::Arc::new(done);
    for _ in 0..order.nodes {
        let (seen, count, done) = (watch.clone(), meter.clone(), done.clone());
        let handler = move |job: Bench, _cx: Context| {
            let (seen, count, done) = (seen.clone(), count.clone(), done.clone());
            async move {
                seen.started(job.0.n);
                if !time.is_zero() {
                    tokio::time::sleep(time).await;
                }
                count.hit();
                done.send_modify(|done| *done += 1);
                Outcome::Done
            }
        };
        super::start(
            &connect(order).await?,
            Pool::new("bench").size(super::slots(order)).worker(worker_fn(handler)),
        );
    }
    let client = connect(order).await?;
    tokio::time::sleep(WARM_UP).await;
    let idle = server_cpu(&order.url).await;
    tokio::time::sleep(IDLE).await;
    let idle = (server_cpu(&order.url).await - idle) / IDLE.as_secs_f64();
    run.ready();
    let started = Instant::now();
    if order.work == Work::Herd {
        for n in 0..order.jobs {
            watch.sends(n);
            client.enqueue(Bench(Payload::new(n, order.payload))).await?;
            // The channel lives as long as the nodes.
            let _ = ended.wait_for(|ended| *ended > n).await;
            tokio::time::sleep(PAUSE).await;
        }
    } else {
        let slots = (order.nodes * order.concurrency) as f64;
        let pause = Duration::from_secs_f64(time.as_secs_f64() * 2.0 / slots);
        let mut next = tokio::time::Instant::now();
        for n in 0..order.jobs {
            watch.sends(n);
            client.enqueue(Bench(Payload::new(n, order.payload))).await?;
            next += pause;
            tokio::time::sleep_until(next).await;
        }
    }
    meter.reached().await;
    let idle_us = idle * started.elapsed().as_secs_f64();
    Ok(Report { latency: Some(watch.latency()), idle_us, ..meter.report() })
}

/// Opens a client with connections of its own.
async fn connect(order: &Order) -> std::result::Result<Client, Error> {
    let client = Client::new(Config::new(&order.url))?;
    client.ping().await?;
    Ok(client)
}

/// Returns the server's CPU time in µs, 0 when it does not tell.
async fn server_cpu(url: &str) -> f64 {
    let info = async {
        let client = redis::Client::open(url)?;
        let mut connection = client.get_multiplexed_async_connection().await?;
        redis::cmd("INFO").arg("cpu").query_async::<String>(&mut connection).await
    };
    let info = info.await.unwrap_or_default();
    let number = |name| crate::server::field(&info, name)?.parse::<f64>().ok();
    let seconds = ["used_cpu_user", "used_cpu_sys"].into_iter().filter_map(number).sum::<f64>();
    seconds * 1e6
}
