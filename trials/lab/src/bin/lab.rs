use poolder::prelude::*;
use poolder::{Config, Durability};
use serde::{Deserialize, Serialize};
use std::time::{Duration, Instant};

#[derive(Serialize, Deserialize, Job, Clone)]
#[job(kind = "lab", queue = "lab")]
struct Lab {
    n: u64,
}

#[derive(Serialize, Deserialize, Job, Clone)]
#[job(kind = "other", queue = "other")]
struct Other {
    n: u64,
}

fn client(url: &str) -> Client {
    Client::new(Config::new(url)).unwrap()
}

#[tokio::main]
async fn main() {
    let _ = tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .try_init();
    let args: Vec<String> = std::env::args().collect();
    let (what, url) = (args[1].as_str(), args[2].as_str());
    let hour = Duration::from_secs(3600);
    match what {
        // one idempotent enqueue, at least one replica
        "idem" => {
            let t = Duration::from_millis(300);
            let d = Durability::Replicated { replicas: 1, timeout: t };
            let at = Instant::now();
            let r =
                client(url).enqueue(Lab { n: 1 }).id("one").idempotent(hour).durability(d).await;
            println!("enqueue idempotent Replicated(1): {r:?} after {:?}", at.elapsed());
        }
        "idem-fsync" => {
            let t = Duration::from_millis(300);
            let d = Durability::Fsynced { replicas: 0, timeout: t };
            let r =
                client(url).enqueue(Lab { n: 1 }).id("one").idempotent(hour).durability(d).await;
            println!("enqueue idempotent Fsynced: {r:?}");
        }
        // plain and delayed jobs in one durable bulk, after the server has forgotten scripts
        "bulk" => {
            let c = client(url);
            let d = Durability::Fsynced { replicas: 0, timeout: Duration::from_secs(2) };
            let jobs = vec![
                c.enqueue(Lab { n: 1 }).durability(d).prepare(),
                c.enqueue(Lab { n: 2 }).durability(d).after(hour).prepare(),
            ];
            // what a restart or a failover does to the script cache
            tokio::time::sleep(Duration::from_millis(100)).await;
            c.ping().await.unwrap();
            println!("flush");
            wait_line();
            for r in c.enqueue_prepared(jobs).await {
                println!("{r:?}");
            }
        }
        "huge" => {
            let c = client(url);
            println!(
                "idempotent(MAX): {:?}",
                c.enqueue(Lab { n: 1 }).id("x").idempotent(Duration::MAX).await.map(|r| r.stored)
            );
            println!(
                "idempotent(MAX) again: {:?}",
                c.enqueue(Lab { n: 1 }).id("x").idempotent(Duration::MAX).await.map(|r| r.stored)
            );
            println!(
                "keep_completion(MAX): {:?}",
                c.enqueue(Lab { n: 2 }).keep_completion(Duration::MAX).await.map(|r| r.stored)
            );
        }
        "node" => {
            let size: u16 = args.get(3).map_or(4, |s| s.parse().unwrap());
            let w = worker_fn(|job: Lab, cx: Context| async move {
                if job.n == 666 {
                    std::process::abort();
                }
                if job.n == 13 {
                    return Err::<Outcome, BoxError>("no".into());
                }
                if job.n >= 1000 {
                    tokio::time::sleep(Duration::from_millis(job.n - 1000)).await;
                }
                println!("ran {} attempt {} {}", job.n, cx.attempt(), cx.id());
                Ok(Done)
            });
            let o = worker_fn(|job: Other, cx: Context| async move {
                println!("other {} attempt {} {}", job.n, cx.attempt(), cx.id());
                Done
            });
            let secs: u64 = args.get(4).map_or(3600, |s| s.parse().unwrap());
            Node::builder(client(url))
                .pool(Pool::new("lab").size(size).worker(w))
                .pool(Pool::new("other").size(size).worker(o))
                .run_until(tokio::time::sleep(Duration::from_secs(secs)))
                .await
                .unwrap();
        }
        "put" => {
            let c = client(url);
            let (from, to): (u64, u64) = (args[3].parse().unwrap(), args[4].parse().unwrap());
            let r = c.enqueue_many((from..to).map(|n| Lab { n })).await;
            println!("stored {} of {}", r.iter().filter(|r| r.is_ok()).count(), r.len());
            if let Some(Err(e)) = r.iter().find(|r| r.is_err()) {
                println!("{e}");
            }
        }
        other => panic!("{other}"),
    }
}

fn wait_line() {
    let mut s = String::new();
    std::io::stdin().read_line(&mut s).unwrap();
}
