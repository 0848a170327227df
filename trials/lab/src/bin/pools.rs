use poolder::Config;
use poolder::prelude::*;
use poolder_core::policy::dispatch::{Mode, Pick, hash, pick};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize, Job, Clone)]
#[job(kind = "keyed", queue = "keyed")]
struct Keyed {
    n: u64,
    ms: u64,
}

#[tokio::main]
async fn main() {
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .try_init();
    let args: Vec<String> = std::env::args().collect();
    let c = Client::new(Config::new(&args[2])).unwrap();
    let t0 = Instant::now();
    let size: u16 = if args[1] == "delay" { 2 } else { 4 };
    let w = worker_fn(move |job: Keyed, cx: Context| async move {
        println!("{:6.2} start n={} term {}", t0.elapsed().as_secs_f32(), job.n, cx.fence());
        if job.n == 99 {
            return Err::<Outcome, BoxError>("dies".into());
        }
        tokio::time::sleep(Duration::from_millis(job.ms)).await;
        println!("{:6.2} end   n={}", t0.elapsed().as_secs_f32(), job.n);
        Ok(Done)
    });
    let p = Policy::default().attempts(1);
    let node = Node::builder(c.clone())
        .pool(Pool::new("keyed").size(size).mode(Mode::Phash).policy(p).worker(w));
    tokio::spawn(node.run_until(tokio::time::sleep(Duration::from_secs(80))));
    let pool = c.pool::<Keyed>("keyed");
    while pool.size().await.is_err() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let slot = |k: &str, n: u16| match pick(Mode::Phash, hash(k.as_bytes()), n) {
        Pick::One(i) => i,
        _ => 0,
    };
    if args[1] == "delay" {
        let key = (0..1000).map(|i| format!("k{i}")).find(|k| slot(k, 2) != slot(k, 4)).unwrap();
        println!("key {key}: slot {} of 2, slot {} of 4", slot(&key, 2), slot(&key, 4));
        let r = pool
            .cast(Keyed { n: 1, ms: 3000 })
            .key(&key)
            .after(Duration::from_secs(4))
            .await
            .unwrap();
        println!("{:6.2} cast n=1 after 4 s -> {}", t0.elapsed().as_secs_f32(), r.partition);
        pool.resize(4).await.unwrap();
        while !pool.view().await.unwrap().open {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        println!("{:6.2} resized to 4, open", t0.elapsed().as_secs_f32());
        for n in 2..5 {
            let r = pool.cast(Keyed { n, ms: 2000 }).key(&key).await.unwrap();
            println!("{:6.2} cast n={n} -> {}", t0.elapsed().as_secs_f32(), r.partition);
        }
        tokio::time::sleep(Duration::from_secs(12)).await;
    } else {
        let key = (0..1000).map(|i| format!("k{i}")).find(|k| slot(k, 4) == 3).unwrap();
        let r = pool.cast(Keyed { n: 99, ms: 0 }).key(&key).await.unwrap();
        println!("cast n=99 -> {}", r.partition);
        tokio::time::sleep(Duration::from_secs(2)).await;
        pool.resize(2).await.unwrap();
        loop {
            let v = pool.view().await.unwrap();
            if v.tail == 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
        println!("{:6.2} shrunk to 2, slots 2 and 3 retired", t0.elapsed().as_secs_f32());
        tokio::time::sleep(Duration::from_secs(5)).await;
        println!("revive: {:?}", c.job(&r).revive().await);
        // what a producer does whose view is older than the retirement: a delayed cast is not checked against the generation
        tokio::time::sleep(Duration::from_secs(20)).await;
        println!(
            "{:6.2} 20 s later: {:?}",
            t0.elapsed().as_secs_f32(),
            pool.view().await.map(|v| (v.size, v.tail))
        );
    }
}
