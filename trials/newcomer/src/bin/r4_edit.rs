//! BUG: what payload_json shows cannot always be given back to edit_and_revive: types that serde writes
//! differently for people (IpAddr, Uuid, …) are stored in their compact form, shown so, and then read as JSON.
use poolder::{Config, JobId, prelude::*};
use serde::{Deserialize, Serialize};
use std::{net::IpAddr, time::Duration};
#[derive(Serialize, Deserialize, Debug, Job)]
#[job(queue = "ip", attempts = 1)]
struct Ip {
    ip: IpAddr,
    retries: u64,
}
#[tokio::main]
async fn main() {
    let client = Client::new(
        Config::new(std::env::var("POOLDER_REDIS_URL").unwrap())
            .namespace(format!("r4-{}", JobId::generate())),
    )
    .unwrap();
    client.enqueue(Ip { ip: "10.0.0.1".parse().unwrap(), retries: 0 }).await.unwrap();
    let run = || {
        Node::builder(client.clone())
            .pool(Pool::new("ip").worker(worker_fn(|j: Ip, _: Context| async move {
                if j.retries == 0 {
                    Err::<Outcome, BoxError>("needs 1".into())
                } else {
                    println!("ran {j:?}");
                    Ok(Done)
                }
            })))
            .run_until(tokio::time::sleep(Duration::from_millis(600)))
    };
    run().await.unwrap();
    let q = client.inspect("ip");
    let job = q.dead(None, 1).await.unwrap().jobs.remove(0);
    let mut payload = job.payload_json().unwrap();
    println!("shown: {payload}");
    payload["retries"] = 1.into();
    client.job(&job.handle).edit_and_revive(&payload).await.unwrap();
    run().await.unwrap();
    println!(
        "after editing one number: {:?}",
        q.dead(None, 1).await.unwrap().jobs.first().map(|j| j.failure().unwrap().to_string())
    );
}
