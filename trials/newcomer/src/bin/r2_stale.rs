//! BUG: the first call after an idle connection was closed (server restart, failover, CLIENT KILL,
//! idle timeout of a NAT or load balancer) fails as *unknown*, although the close was seen seconds before
//! and nothing was sent. Expected: the client notices the end of the connection and opens another.
//! POOLDER_REDIS_URL names a private Redis.
use poolder::{Config, prelude::*};
use serde::{Deserialize, Serialize};
use std::time::Duration;
#[derive(Serialize, Deserialize, Job)]
#[job(queue = "stale")]
struct A {
    n: u64,
}
#[tokio::main]
async fn main() {
    let url = std::env::var("POOLDER_REDIS_URL").unwrap();
    let client = Client::new(Config::new(&url).namespace("r2")).unwrap();
    client.enqueue(A { n: 1 }).await.unwrap();
    let mut server = redis::Client::open(url.as_str()).unwrap().get_connection().unwrap();
    let killed =
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal", "SKIPME", "yes"]).exec(&mut server);
    killed.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    for n in 2..4 {
        println!(
            "{:?}",
            client.enqueue(A { n }).await.map(|_| ()).map_err(|e| (e.to_string(), e.is_unknown()))
        );
    }
}
