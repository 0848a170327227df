//! broccoli_queue 0.4, consuming and acknowledging in loops that wait 10 ms when idle.

use std::sync::Arc;
use std::time::Duration;

use bench_protocol::peer::{AnyError, Handler, Peer};
use bench_protocol::{Payload, Run};
use broccoli_queue::queue::{BroccoliQueue, ConsumeOptions, PublishOptions};

const TOPIC: &str = "bench";

#[derive(Clone)]
struct Broccoli(Arc<BroccoliQueue>);

impl Peer for Broccoli {
    async fn enqueue(&self, job: Payload) -> Result<(), AnyError> {
        self.0.publish(TOPIC, None, &job, None).await?;
        Ok(())
    }

    async fn enqueue_many(&self, jobs: Vec<Payload>) -> Result<(), AnyError> {
        for some in jobs.chunks(500) {
            self.0.publish_batch(TOPIC, None, some.to_vec(), None).await?;
        }
        Ok(())
    }

    async fn enqueue_after(&self, job: Payload, delay: Duration) -> Result<(), AnyError> {
        let options = PublishOptions::builder().delay(time(delay)).build();
        self.0.publish(TOPIC, None, &job, Some(options)).await?;
        Ok(())
    }

    fn work(&self, concurrency: usize, handler: Handler) {
        for _ in 0..concurrency {
            let (queue, handler) = (Arc::clone(&self.0), Arc::clone(&handler));
            tokio::spawn(async move {
                let options =
                    ConsumeOptions::builder().consume_wait(Duration::from_millis(10)).build();
                loop {
                    let Ok(message) = queue.consume::<Payload>(TOPIC, Some(options.clone())).await
                    else {
                        continue;
                    };
                    handler(message.payload.clone());
                    if let Err(error) = queue.acknowledge(TOPIC, message).await {
                        eprintln!("{error}");
                    }
                }
            });
        }
    }
}

fn time(delay: Duration) -> time::Duration {
    time::Duration::milliseconds(i64::try_from(delay.as_millis()).unwrap_or(i64::MAX))
}

#[tokio::main]
async fn main() {
    let run = Run::begin();
    match BroccoliQueue::builder(run.order.url.clone())
        .pool_connections(128)
        .enable_scheduling(true)
        .build()
        .await
    {
        Ok(queue) => bench_protocol::peer::run(run, Broccoli(Arc::new(queue))).await,
        Err(error) => run.not_run(&error.to_string()),
    }
}
