//! Measures schedules: how late their jobs start, and the cost of many schedules for a leader and
//! for a node that does not lead.

use std::io::{BufRead, BufReader, sink, stdin};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench_protocol::{Lateness, Meter, Order, Payload, Report, Run, Work};
use poolder::{Client, Context, Error, Missed, Node, Outcome, Pool, Timestamp, worker_fn};

use super::Bench;

/// A schedule that does not tick while it is measured.
const YEARLY: &str = "0 0 1 1 *";

/// Measures how late jobs start, with schedules of one second each, either spread over the second
/// or all at one instant.
pub async fn lateness(run: &Run, client: &Client) -> std::result::Result<Report, Error> {
    let order = &run.order;
    let late = Lateness::default();
    let meter = Meter::new(order.backlog * order.seconds);
    super::start(client, pool(order, &late, &meter));
    tokio::time::sleep(Duration::from_millis(500)).await;
    add_ticking(order, client).await?;
    run.ready();
    meter.reached().await;
    Ok(Report { latency: Some(late.latency()), ..meter.report() })
}

/// Measures a node of a queue with many schedules of which none ticks. With `running`, another
/// process leads, and this node only stands by.
pub async fn cost(run: &Run, client: &Client) -> std::result::Result<Report, Error> {
    let order = &run.order;
    if order.process > 0 {
        // In the other process: the leader.
        lead(order, client).await?;
        println!("leads");
        // The end of standard input: the contender was killed, or is done.
        let ended = tokio::task::spawn_blocking(|| std::io::copy(&mut stdin(), &mut sink()));
        let _ = ended.await;
        std::process::exit(0);
    }
    let _leader = if order.running > 0 { Some(Leader::start(order)?) } else { None };
    lead(order, client).await?;
    // By now the node has read the new schedules and opened its connections.
    tokio::time::sleep(Duration::from_secs(6)).await;
    run.ready();
    tokio::time::sleep(Duration::from_secs(order.seconds)).await;
    Ok(Report { seconds: order.seconds as f64, ..Report::default() })
}

/// As [`lateness`], beside a leader in another process that is killed with `running`, and stopped
/// without. Measures how late the ticks are that this leader did not publish. Jobs that the leader
/// ran itself are not measured.
pub async fn takeover(run: &Run, client: &Client) -> std::result::Result<Report, Error> {
    let order = &run.order;
    let late = Lateness::default();
    let meter = Meter::new(u64::MAX);
    if order.process > 0 {
        let node = Node::builder(client.clone()).pool(pool(order, &late, &meter));
        let stop = async {
            let _ = tokio::task::spawn_blocking(|| std::io::copy(&mut stdin(), &mut sink())).await;
        };
        let node = tokio::spawn(node.run_until(stop));
        until_led(client).await?;
        println!("leads");
        let _ = node.await;
        std::process::exit(0);
    }
    let mut leader = Leader::start(order)?;
    super::start(client, pool(order, &late, &meter));
    tokio::time::sleep(Duration::from_millis(500)).await;
    add_ticking(order, client).await?;
    run.ready();
    tokio::time::sleep(Duration::from_secs(6)).await;
    if order.running > 0 {
        let _ = leader.0.kill();
    } else {
        drop(leader.0.stdin.take());
    }
    tokio::time::sleep(Duration::from_secs(order.seconds)).await;
    Ok(Report {
        jobs: meter.count(),
        seconds: order.seconds as f64,
        latency: Some(late.latency()),
        idle_us: 0.0,
        longest_ms: None,
        trips: None,
        bytes: None,
    })
}

/// Returns the pool that records how late each tick's job starts.
fn pool(order: &Order, late: &Lateness, meter: &Meter) -> Pool {
    let (seen, count) = (late.clone(), meter.clone());
    let handler = move |_: Bench, cx: Context| {
        let at = cx.tick().map_or(0, |tick| tick.at().millis().unsigned_abs());
        seen.started(at);
        count.hit();
        std::future::ready(Outcome::Done)
    };
    Pool::new("bench").size(super::slots(order)).worker(worker_fn(handler))
}

/// Adds the schedules that tick each second. None ticks before the measurement starts.
async fn add_ticking(order: &Order, client: &Client) -> std::result::Result<(), Error> {
    let instant = order.work == Work::TicksAtOnce;
    let start = Timestamp::now() + Duration::from_secs(3);
    for n in 0..order.backlog {
        let timing = if instant { "* * * * * *" } else { "1s" };
        // Spreads the schedules evenly over the second.
        let offset = if instant { 0 } else { n * 1_000 / order.backlog };
        client
            .schedule(format!("s{n}"), timing, Bench(Payload::new(n, order.payload)))
            .missed(Missed::All { most: 10_000, within: Duration::from_secs(600) })
            .start(start + Duration::from_millis(offset))
            .await?;
    }
    Ok(())
}

async fn until_led(client: &Client) -> std::result::Result<(), Error> {
    while client.inspect("bench").overview().await?.leader.is_none() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    Ok(())
}

/// Starts a node, waits until a node leads, and adds the schedules unless they exist.
async fn lead(order: &Order, client: &Client) -> std::result::Result<(), Error> {
    let handler = |_: Bench, _: Context| std::future::ready(Outcome::Done);
    let pool = Pool::new("bench").size(super::slots(order)).worker(worker_fn(handler));
    tokio::spawn(Node::builder(client.clone()).pool(pool).run_until(std::future::pending()));
    until_led(client).await?;
    let there = client.schedules("bench").count().await?;
    for n in there..order.backlog {
        client.schedule(format!("s{n}"), YEARLY, Bench(Payload::new(n, order.payload))).await?;
    }
    Ok(())
}

/// Another process of this program. It is killed when this is dropped. It also stops when the
/// contender ends, because that closes its standard input.
struct Leader(Child);

impl Leader {
    fn start(order: &Order) -> std::result::Result<Self, Error> {
        let failed = |error: &dyn std::fmt::Display| Error::invalid(format!("no leader: {error}"));
        let program = std::env::current_exe().map_err(|error| failed(&error))?;
        let order = Order { process: 1, ..order.clone() };
        let order = serde_json::to_string(&order).map_err(|error| failed(&error))?;
        let mut child = Command::new(program)
            .args(["poolder", &order])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| failed(&error))?;
        let lines = BufReader::new(child.stdout.take().ok_or_else(|| failed(&"no output"))?);
        let leader = Self(child);
        match lines.lines().next() {
            Some(Ok(line)) if line == "leads" => Ok(leader),
            other => Err(failed(&format!("it said {other:?}"))),
        }
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
