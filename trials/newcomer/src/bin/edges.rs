//! Cases at the edges of an application: another size, another limit, a full server, a misspelt
//! name, a large bulk. POOLDER_REDIS_URL names a private Redis.
use poolder::{Config, JobId, Result, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "x")]
struct X {
    n: u64,
}
fn client() -> Client {
    Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("f-{}", JobId::generate())),
    )
    .unwrap()
}
fn pool(size: u16) -> Pool {
    Pool::new("x").mode(Mode::Phash).size(size).worker(worker_fn(|_: X, _: Context| async { Done }))
}
#[derive(Clone)]
struct B;
impl BatchWorker for B {
    type Entry = u64;
    async fn handle_batch(&mut self, b: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        b.all().await?;
        Ok(Done)
    }
}
#[tokio::main]
async fn main() {
    tracing_subscriber::fmt().without_time().with_ansi(false).with_env_filter("info").init();
    println!("== phash size 8, then a deploy with 16");
    let c = client();
    Node::builder(c.clone())
        .pool(pool(8))
        .run_until(tokio::time::sleep(Duration::from_millis(800)))
        .await
        .unwrap();
    let r = tokio::time::timeout(
        Duration::from_secs(4),
        Node::builder(c.clone())
            .pool(pool(16))
            .run_until(tokio::time::sleep(Duration::from_secs(2))),
    )
    .await;
    println!("{:?}", r.map(|r| r.map_err(|e| e.to_string())));
    println!("== batcher limit 50, then a deploy with 100 and the same revision");
    let c = client();
    Node::builder(c.clone())
        .add(Batcher::new("b", B).limit(50))
        .run_until(tokio::time::sleep(Duration::from_millis(800)))
        .await
        .unwrap();
    println!(
        "{:?}",
        Node::builder(c.clone())
            .add(Batcher::new("b", B).limit(100))
            .pool(Pool::new("x").worker(worker_fn(|_: X, _: Context| async { Done })))
            .run_until(tokio::time::sleep(Duration::from_secs(1)))
            .await
            .map_err(|e| e.to_string())
    );
    println!("== a job without result and without keep_completion, once it is done");
    let c = client();
    let r = c.enqueue(X { n: 1 }).await.unwrap();
    Node::builder(c.clone())
        .pool(Pool::new("x").size(1).worker(worker_fn(|_: X, _: Context| async { Done })))
        .run_until(tokio::time::sleep(Duration::from_millis(500)))
        .await
        .unwrap();
    println!(
        "state {:?}, inspect {:?}",
        c.job(&r).state().await.unwrap(),
        c.job(&r).view().await.unwrap().is_some()
    );
    println!("== out of memory");
    let url = std::env::var("POOLDER_REDIS_URL").unwrap();
    let mut server = redis::Client::open(url).unwrap().get_connection().unwrap();
    let mut limit = |bytes: &str| {
        redis::cmd("CONFIG").arg(&["SET", "maxmemory", bytes]).exec(&mut server).unwrap();
    };
    limit("1mb");
    println!(
        "{:?}",
        c.enqueue(X { n: 2 })
            .await
            .map_err(|e| (e.to_string(), e.is_refused(), e.is_unknown()))
            .map(|_| ())
    );
    limit("0");
    println!("== wiring mistake: pool of a misspelt name");
    let c = client();
    c.enqueue(X { n: 1 }).await.unwrap();
    Node::builder(c.clone())
        .pool(Pool::new("xx").size(1).worker(worker_fn(|_: X, _: Context| async { Done })))
        .run_until(tokio::time::sleep(Duration::from_secs(3)))
        .await
        .unwrap();
    println!("ready in x: {}", c.inspect("x").overview().await.unwrap().ready());
    println!("== bulk of 100,000");
    let t = Instant::now();
    let ok =
        c.enqueue_many((0..100_000).map(|n| X { n })).await.iter().filter(|r| r.is_ok()).count();
    println!("{ok} in {:?}", t.elapsed());
}
