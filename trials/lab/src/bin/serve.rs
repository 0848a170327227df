use poolder::Config;
use poolder::prelude::*;
use poolder_core::policy::dispatch::Mode;
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Job, Clone)]
#[job(kind = "keyed", queue = "keyed")]
struct Keyed {
    n: u64,
    ms: u64,
}
#[tokio::main]
async fn main() {
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::INFO)
        .try_init();
    let args: Vec<String> = std::env::args().collect();
    let c = Client::new(Config::new(&args[1])).unwrap();
    let w = worker_fn(|job: Keyed, _: Context| async move {
        tokio::time::sleep(Duration::from_millis(job.ms)).await;
        println!("ran {}", job.n);
        Done
    });
    Node::builder(c)
        .pool(Pool::new("keyed").size(args[2].parse().unwrap()).mode(Mode::Phash).worker(w))
        .run()
        .await
        .unwrap();
}
