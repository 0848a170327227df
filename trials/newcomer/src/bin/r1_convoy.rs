//! BUG: callers of one client wait in line to connect. A server that accepts TCP and never answers
//! (paused VM, half-dead failover, dropped SYNs) costs the n-th concurrent caller n × connect_timeout.
//! Needs no Redis. Expected: all fail after about 2 s. Seen: 2, 4, 6, … 2·n s.
use poolder::{Config, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Instant;
#[derive(Serialize, Deserialize, Job)]
struct A {
    n: u64,
}
#[tokio::main]
async fn main() {
    let mute = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap(); // accepts (backlog), never answers
    let url = format!("redis://{}/0", mute.local_addr().unwrap());
    let client = Client::new(Config::new(url).connect_timeout(std::time::Duration::from_millis(
        std::env::var("MS").map_or(2000, |n| n.parse().unwrap()),
    )))
    .unwrap();
    let start = Instant::now();
    let tasks: Vec<_> = (0..std::env::var("N").map_or(12, |n| n.parse().unwrap()))
        .map(|n| {
            let client = client.clone();
            tokio::spawn(async move {
                let e = client.enqueue(A { n }).await.unwrap_err();
                (start.elapsed(), e.is_refused())
            })
        })
        .collect();
    let mut took = vec![];
    for t in tasks {
        took.push(t.await.unwrap());
    }
    took.sort();
    for (t, refused) in &took {
        println!("failed after {:.1} s, refused {refused}", t.as_secs_f64());
    }
    assert!(
        took.last().unwrap().0.as_secs() < 5,
        "the last of 12 callers waited {:?}",
        took.last().unwrap().0
    );
}
