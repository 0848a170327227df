//! Ids, handles and views have a serialized form, for dashboards and logs.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Attempt, Cursor, Handle, JobId, JobResult, QueueName, Timestamp};
use serde::Serialize;
use serde_json::{Value, json};

use crate::harness::{Number, Space, eventually, start, teller};

const HOUR: Duration = Duration::from_secs(60 * 60);

fn shown(value: &impl Serialize) -> Value {
    serde_json::to_value(value).expect("it can be serialized")
}

#[tokio::test]
async fn jobs_and_queues_are_shown() {
    let space = Space::new("shown");
    let client = &space.client;
    let receipt = client.enqueue(Number(7)).lane(Lane::High).await.unwrap();
    let handle = Handle::from(&receipt);
    let text = json!({
        "job": receipt.job.to_string(), "partition": "q.0", "lane": "high",
        "handle": handle.to_string(), "stored": "ready",
    });
    assert_eq!(shown(&receipt), text);
    for text in [shown(&handle), shown(&receipt.job.in_queue("q").unwrap())] {
        let back: Handle = serde_json::from_value(text).unwrap();
        assert_eq!(back.job, receipt.job);
    }
    assert_eq!(serde_json::from_value::<JobId>(shown(&receipt.job)).unwrap(), receipt.job);
    assert!(serde_json::from_value::<QueueName>(json!("a b")).is_err(), "names are checked");
    assert_eq!(shown(&Timestamp::from_millis(5)), 5);

    let page = client.inspect("q").ready(Lane::High, None, 1).await.unwrap();
    let (all, job) = (shown(&page), shown(&page.jobs[0]));
    assert_eq!(all["jobs"][0], job);
    let next: Cursor = serde_json::from_value(all["next"].clone()).unwrap();
    assert_eq!(Some(next), page.next);
    assert_eq!(
        (&job["kind"], &job["payload"], &job["state"]),
        (&json!("number"), &json!(7), &json!("ready"))
    );
    assert_eq!(shown(&client.job(&receipt).result::<u64>().await.unwrap()), "pending");
    assert_eq!(shown(&JobResult::Value(7)), json!({"value": 7}));
    assert_eq!(shown(&client.job(&receipt).cancel().await.unwrap()), "removed");

    let overview = shown(&space.overview("q").await);
    assert_eq!(overview["lanes"][0]["lane"], "front");
    assert_eq!(
        (&overview["queue"], &overview["partitions"][0]["partition"]),
        (&json!("q"), &json!("q.0"))
    );
    assert_eq!(overview["counters"]["cancelled"], 1);
    let attempts: Vec<Attempt> = page.jobs[0].attempts();
    assert_eq!(shown(&attempts), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_pools_schedules_and_batchers_are_shown() {
    let space = Space::new("shown-fleet");
    let client = &space.client;
    let (worker, _told) = teller();
    let node =
        start(space.node().pool(Pool::new("slots").size(2).mode(Mode::Phash).worker(worker)));
    let pool = client.pool::<Number>("slots");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    let view = shown(&pool.view().await.unwrap());
    assert_eq!((&view["mode"], &view["size"]), (&json!("phash"), &json!(2)));
    assert_eq!(shown(&pool.slots().await.unwrap())[1]["index"], 1);
    let nodes = shown(&client.nodes().await.unwrap());
    assert!(nodes[0]["silent"].is_u64() && nodes[0]["info"]["pools"].is_array(), "{nodes}");
    node.stop().await;

    client.schedule("s", HOUR, Number(3)).overlap(Overlap::QueueOne).await.unwrap();
    let schedule = shown(&client.schedules("q").get("s").await.unwrap().unwrap());
    assert_eq!((&schedule["overlap"], &schedule["payload"]), (&json!("queue-one"), &json!(3)));
    assert_eq!(
        (&schedule["status"], &schedule["missed_policy"]),
        (&json!("active"), &json!("one"))
    );

    let rows = client.batcher::<u64>("rows");
    rows.declare(poolder::BatchOptions::default()).await.unwrap();
    rows.push_many([1, 2, 3]).await.all().unwrap();
    assert_eq!(shown(&rows.list(0).await.unwrap())["entries"], json!([1, 2, 3]));
    assert_eq!(shown(&rows.open(9).await.unwrap())[0]["len"], 3);
    assert_eq!(shown(&rows.pop(0).await.unwrap())["entry"], 1);
    rows.flush().await.unwrap();
    assert_eq!(shown(&rows.sealed(9).await.unwrap())[0]["state"], "ready");
    assert_eq!(shown(&rows.sums().await.unwrap())["totals"]["popped"], 1);
}
