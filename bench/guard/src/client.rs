//! The operations whose cost for the client is counted, against the scripted server.

use std::time::Duration;

use bench_protocol::Meter;
use poolder::{Client, Context, Node, Outcome, Pool, worker_fn};

use crate::consumer::claims;
use crate::job::{Bench, job};
use crate::{AnyError, BATCH};

pub async fn work(client: Client, what: &str, count: usize) -> std::result::Result<(), AnyError> {
    match what {
        "enqueue" => {
            for n in 0..count {
                client.enqueue(job(n)).await?;
            }
        }
        "bulk" => {
            for result in client.enqueue_many((0..count).map(job)).await {
                result?;
            }
        }
        "claim" => claims(&client, count, false).await?,
        "settle" => claims(&client, count, true).await?,
        "run" | "run-metrics" => {
            let meter = Meter::new(count as u64);
            let count = meter.clone();
            let handler = move |_job: Bench, _cx: Context| {
                count.hit();
                std::future::ready(Outcome::Done)
            };
            let pool = Pool::new("bench").size(BATCH as u16).worker(worker_fn(handler));
            let stop = async move { meter.reached().await };
            let mut node = Node::builder(client).pool(pool).shutdown_timeout(Duration::ZERO);
            if what == "run-metrics" {
                // A node that listens counts its enqueues and its round trips.
                node = node.listen("127.0.0.1:0");
            }
            node.run_until(stop).await?;
        }
        _ => return Err(format!("{what} cannot be counted").into()),
    }
    Ok(())
}
