//! Jobs that are too large: for Poolder, for a reply, or for the output buffer of the server.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Handle, JobId, QueueName, Result};
use poolder_core::Partition;
use poolder_devserver::Server;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::harness::{
    Number, Running, Space, cast_until_received, eventually, start, teller, within,
};

/// A job with a large payload.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "blob", queue = "q")]
struct Blob {
    number: u64,
    data: String,
}

/// Returns a worker that sends the number of each job it gets.
fn numbers() -> (impl Worker<Job = Blob>, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel(1_000);
    let worker = worker_fn(move |job: Blob, _: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.number).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    (worker, told)
}

/// A server that closes a connection whose reply has more than so many bytes.
fn narrow(bytes: u32) -> (Server, Space) {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let limit = format!("normal {bytes} 0 0");
    server.command(&["CONFIG", "SET", "client-output-buffer-limit", &limit]).unwrap();
    let space = Space::on(server.url(), "narrow");
    (server, space)
}

/// Adds an entry of 2 MiB to a lane: as Poolder would write it, or a plain one.
async fn forge(space: &Space, lane: &str, number: u8, plain: bool) {
    let data = vec![b'x'; 2 << 20];
    let mut add = redis::cmd("XADD");
    add.arg(lane).arg("*");
    if plain {
        add.arg("kind").arg("number").arg("payload").arg(data);
    } else {
        let head = [&[1, 0], [number; 16].as_slice(), &[6], b"number"].concat();
        add.arg("j").arg([head, data].concat());
    }
    space.redis::<String>(&mut add).await;
}

async fn receive(told: &mut mpsc::Receiver<u64>, count: usize) -> Vec<u64> {
    let mut all = vec![];
    while all.len() < count {
        all.push(within(told.recv()).await.unwrap());
    }
    all
}

/// Waits for dead jobs. Returns their failures, with the bytes that are shown of them.
async fn dead(space: &Space, count: u64) -> Vec<String> {
    eventually("the dead", || async { space.overview("q").await.dead == count }).await;
    let (inspector, mut after, mut all) = (space.client.inspect("q"), None, vec![]);
    loop {
        let page = inspector.dead(after.as_ref(), 500).await.unwrap();
        all.extend(page.jobs.iter().map(|job| {
            let shown = job.raw().map_or(0, <[u8]>::len);
            format!("{shown} {}", job.failure().unwrap())
        }));
        after = page.next;
        if after.is_none() {
            return all;
        }
    }
}

#[tokio::test]
async fn entries_above_the_cap_go_to_the_dead_unread() {
    let space = Space::new("large-cap");
    let lane = space.key("q", "ready:normal");
    for number in 1..=3 {
        forge(&space, &lane, number, number == 2).await;
        space.client.enqueue(Number(u64::from(number))).await.unwrap();
    }
    let inspector = space.client.inspect("q");
    let page = inspector.ready(poolder::Lane::Normal, None, 9).await.unwrap();
    let large: Vec<_> = page.jobs.iter().filter(|job| job.raw().is_some()).collect();
    assert_eq!((page.jobs.len(), large.len()), (1, 1), "a page is not longer than its first job");
    assert!(large[0].failure().unwrap().to_string().contains("bytes, the most is"));
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    for _ in 0..3 {
        within(told.recv()).await.unwrap();
    }
    for text in dead(&space, 3).await {
        assert!(text.contains("bytes, the most is 1310720, so it was not read"), "{text:.200}");
        assert!(text.starts_with("163"), "only the beginning is shown: {text:.200}");
    }
    // The job is known by its id, its bytes are kept, and it is not revived with a part of them.
    let partition = Partition::first(QueueName::new("q").unwrap());
    let handle = Handle { partition, job: JobId::from_bytes([3; 16]), place: None };
    let view = space.client.broker().find(&handle).await.unwrap().unwrap();
    assert!(view.payload().is_none() && view.raw().is_some());
    assert!(space.client.broker().revive(&handle).await.unwrap_err().is_invalid());
    let mut size = redis::cmd("HSTRLEN");
    size.arg(space.key("q", "dead:bodies")).arg([3_u8; 16].as_slice());
    assert!(space.redis::<usize>(&mut size).await > 2 << 20);
    node.stop().await;
}

async fn stop(node: Running, told: mpsc::Receiver<u64>) {
    node.stop().await;
    drop(told);
}

#[tokio::test]
async fn jobs_that_do_not_fit_into_a_reply_together_are_claimed_fewer_at_a_time() {
    let (_server, space) = narrow(700_000);
    let data = "x".repeat(300_000);
    for number in 0..20 {
        space.client.enqueue(Blob { number, data: data.clone() }).await.unwrap();
    }
    let (worker, mut told) = numbers();
    let node = start(space.node().pool(Pool::new("q").size(16).worker(worker)));
    assert_eq!(receive(&mut told, 20).await.len(), 20);
    space.until_count("q", "completed", 20).await;
    stop(node, told).await;
}

#[tokio::test]
async fn a_job_that_fits_into_no_reply_is_buried_and_the_others_run() {
    let (server, space) = narrow(600_000);
    let (small, large) = ("x".repeat(1_000), "x".repeat(800_000));
    for number in 0..10 {
        let data = if number == 5 { large.clone() } else { small.clone() };
        space.client.enqueue(Blob { number, data }).await.unwrap();
    }
    let (worker, mut told) = numbers();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut ran = receive(&mut told, 9).await;
    ran.sort_unstable();
    assert_eq!(ran, [0, 1, 2, 3, 4, 6, 7, 8, 9]);
    server.command(&["CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0"]).unwrap();
    let text = dead(&space, 1).await.remove(0);
    assert!(text.contains("each reply with this entry of 800"), "{text:.200}");
    stop(node, told).await;
}

#[tokio::test]
async fn an_addressed_slot_goes_on_behind_jobs_that_are_too_large() {
    let (server, space) = narrow(600_000);
    let (worker, mut told) = numbers();
    let pool = Pool::new("q").size(1).mode(Mode::Phash).worker(worker);
    let node = start(space.node().pool(pool));
    let casts = space.client.pool::<Blob>("q");
    let (small, large) = ("x".repeat(1_000), "x".repeat(800_000));
    eventually("the pool is defined", || async {
        casts.cast(Blob { number: 0, data: small.clone() }).await.is_ok()
    })
    .await;
    casts.cast(Blob { number: 1, data: large }).await.unwrap();
    casts.cast(Blob { number: 2, data: small.clone() }).await.unwrap();
    forge(&space, &space.key("q", "ready:normal"), 7, false).await;
    casts.cast(Blob { number: 3, data: small }).await.unwrap();
    assert_eq!(receive(&mut told, 3).await, [0, 2, 3]);
    server.command(&["CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0"]).unwrap();
    let dead = dead(&space, 2).await;
    assert!(dead.iter().any(|text| text.contains("each reply with this entry")), "{dead:.200?}");
    assert!(dead.iter().any(|text| text.contains("the most is 1310720")), "{dead:.200?}");
    stop(node, told).await;
}

/// Counts the entries of each batch.
#[derive(Clone)]
struct Counter(mpsc::Sender<usize>);

impl BatchWorker for Counter {
    type Entry = String;

    async fn handle_batch(&mut self, batch: &mut Batch<String>, _: Context) -> Result<Outcome> {
        self.0.send(batch.all().await?.len()).await?;
        Ok(Done)
    }
}

#[tokio::test]
async fn a_batch_with_large_entries_among_small_ones_is_read_in_replies_that_fit() {
    let (_server, space) = narrow(700_000);
    let entry = |number: usize| "x".repeat(if (300..306).contains(&number) { 300_000 } else { 9 });
    let (tell, mut told) = mpsc::channel(9);
    let batcher = Batcher::new("rows", Counter(tell)).limit(1_000);
    let rows = batcher.handle(&space.client);
    rows.push_many((0..1_000).map(entry)).await.all().unwrap();
    let node = start(space.node().add(batcher));
    assert_eq!(within(told.recv()).await, Some(1_000));
    node.stop().await;
}

#[tokio::test]
async fn the_jobs_of_a_dead_node_are_rescued_in_replies_that_fit() {
    let (server, space) = narrow(700_000);
    let data = "x".repeat(300_000);
    for number in 0..12 {
        space.client.enqueue(Blob { number, data: data.clone() }).await.unwrap();
    }
    let lane = space.key("q", "ready:normal");
    forge(&space, &lane, 7, false).await;
    space.redis::<()>(redis::cmd("XGROUP").arg(&["CREATE", &lane, "workers", "0"])).await;
    let read = ["XREADGROUP", "GROUP", "workers", "ghost", "COUNT", "99", "STREAMS", &lane, ">"];
    // The reply is lost.
    assert!(server.command(&read).is_err());
    let marks = format!("{}:{{roster}}:marks", space.name());
    let [seconds, _] = space.redis::<[u64; 2]>(&mut redis::cmd("TIME")).await;
    space.redis::<()>(redis::cmd("ZADD").arg(&marks).arg(seconds * 1000).arg("ghost")).await;
    let (worker, mut told) = numbers();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let ran = tokio::time::timeout(Duration::from_secs(50), receive(&mut told, 12)).await.unwrap();
    assert_eq!(ran.len(), 12);
    assert_eq!(dead(&space, 1).await.len(), 1);
    stop(node, told).await;
}

#[tokio::test]
async fn a_broadcast_whose_reply_is_always_lost_is_missed_and_the_next_one_runs() {
    let (_server, space) = narrow(700_000);
    let (worker, mut told) = numbers();
    let pool = Pool::new("q").size(2).mode(Mode::Broadcast).worker(worker);
    let node = start(space.node().pool(pool));
    let casts = space.client.pool::<Blob>("q");
    let cast = async |number, bytes| casts.cast(Blob { number, data: "x".repeat(bytes) }).await;
    eventually("registered", || async { casts.size().await.is_ok() }).await;
    let mut number = 0;
    cast_until_received(&told, async || drop(cast(0, 1).await.unwrap())).await;
    for bytes in [900_000, 1, 900_000, 1] {
        number += 1;
        cast(number, bytes).await.unwrap();
    }
    let mut ran = vec![];
    while ran.len() < 4 {
        ran.extend(within(told.recv()).await.filter(|number| *number > 0));
    }
    ran.sort_unstable();
    assert_eq!(ran, [2, 2, 4, 4], "each slot runs the small ones");
    stop(node, told).await;
    assert_eq!(space.count("q", "broadcast_missed").await, 4, "two copies each");
}

#[tokio::test]
async fn a_result_above_the_cap_fails_its_attempt_with_advice() {
    let space = Space::new("large-result");
    let worker =
        worker_fn(|_: Number, _: Context| async { Outcome::DoneWith(vec![0; (1 << 20) + 1]) });
    let once = Policy::default().attempts(1);
    let node = start(space.node().pool(Pool::new("q").size(1).policy(once).worker(worker)));
    let error = within(space.client.call::<_, u64>(Number(1)).into_future()).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("return a reference"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn a_completion_record_and_a_report_that_others_wrote_are_not_read_whole() {
    let space = Space::new("large-record");
    let (partition, job) = (Partition::first(QueueName::new("q").unwrap()), JobId::generate());
    for key in ["result", "progress"] {
        let mut set = redis::cmd("SET");
        set.arg(space.key("q", &format!("{key}:{job}"))).arg(vec![b'r'; 2 << 20]);
        space.redis::<()>(&mut set).await;
    }
    let error = space.client.broker().completion(&partition, job).await.unwrap_err();
    assert!(error.is_too_large() && error.to_string().contains("delete it"), "{error}");
    let handle = Handle { partition, job, place: None };
    assert_eq!(space.client.job(handle).progress().await.unwrap(), None);
}
