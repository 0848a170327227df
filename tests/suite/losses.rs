//! A server that was emptied, restarted empty, or restored to an older state: what the code of a
//! node declares comes back by itself, and what others have stored there stays.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, Result, Timing};
use poolder_devserver::{Cluster, Server};
use tokio::sync::mpsc;

use crate::harness::{Number, Running, Space, eventually, start, teller};

#[derive(Clone)]
struct Clock(mpsc::Sender<&'static str>);

impl Periodic for Clock {
    const NAME: &'static str = "clock";

    async fn handle_job(&mut self, _: &str, _: Context) -> Result<Then> {
        self.0.send("tick").await?;
        Ok(Then::Continue)
    }
}

#[derive(Clone)]
struct Rows(mpsc::Sender<&'static str>);

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, _: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        self.0.send("batch").await?;
        Ok(Done)
    }
}

fn clock(told: &mpsc::Sender<&'static str>) -> Scheduler<Clock> {
    Scheduler::new(Clock(told.clone())).deploy("1").job("tock", "1s").job("rare", "@daily")
}

/// Starts a node that declares one of everything. Returns the runs of its jobs.
fn node(space: &Space) -> (Running, mpsc::Receiver<&'static str>) {
    let (told, heard) = mpsc::channel(100_000);
    let teller = |what: &'static str| {
        let told = told.clone();
        worker_fn(move |_: Number, _: Context| {
            let told = told.clone();
            async move {
                told.send(what).await?;
                Ok::<_, BoxError>(Done)
            }
        })
    };
    let keyed = Pool::new("keyed").mode(Mode::Phash).size(2).join_set("set");
    let copies = Pool::new("copies").mode(Mode::Broadcast).size(1);
    let builder = space
        .node()
        .pool(Pool::new("q").size(2).worker(teller("job")))
        .pool(keyed.worker(teller("slot")))
        .pool(copies.worker(teller("copy")))
        .add(Batcher::new("rows", Rows(told.clone())))
        .add(clock(&told))
        .add(Crontab::new("code").entry("hourly", "1h", Number(1)));
    (start(builder), heard)
}

/// Waits until the server has everything that the node declares.
async fn until_declared(client: &Client) {
    let declared = async || -> std::result::Result<bool, poolder::Error> {
        let queues: BTreeSet<String> =
            client.queues().await?.iter().map(ToString::to_string).collect();
        let names = async |queue| -> std::result::Result<Vec<String>, poolder::Error> {
            let all = client.schedules(queue).list().await?;
            Ok(all.into_iter().map(|info| info.name).collect())
        };
        let nodes = client.nodes().await?;
        Ok(["q", "keyed", "copies", "rows", "clock"].iter().all(|name| queues.contains(*name))
            && client.pool::<Number>("keyed").size().await? == 2
            && client.pool::<Number>("copies").view().await?.mode == Mode::Broadcast
            && client.pool_set("set").pools().await?.len() == 1
            && client.batcher::<u64>("rows").flush().await.is_ok()
            && names("clock").await?.len() == 2
            && names("q").await? == ["hourly"]
            && nodes.iter().any(|node| node.info.as_ref().is_some_and(|it| it.pools.len() == 5)))
    };
    eventually("everything is declared", || async { declared().await.unwrap_or(false) }).await;
}

/// Checks that each of the node's parts works: each runs a job.
async fn works(space: &Space, heard: &mut mpsc::Receiver<&'static str>) {
    while heard.try_recv().is_ok() {}
    let client = &space.client;
    client.enqueue(Number(1)).await.unwrap();
    client.pool::<Number>("keyed").cast(Number(1)).key("a").await.unwrap();
    let rows = client.batcher::<u64>("rows");
    rows.push(1).await.unwrap();
    rows.flush().await.unwrap();
    let mut runs = BTreeSet::new();
    while runs.len() < 5 {
        // A copy that is sent before the reader has opened its connection is missed.
        client.pool::<Number>("copies").cast(Number(1)).await.unwrap();
        runs.extend(
            tokio::time::timeout(Duration::from_millis(100), heard.recv()).await.ok().flatten(),
        );
    }
}

/// Kills the server and starts it again, and checks that the node declares and runs everything.
async fn comes_back(server: &Server, space: &Space, heard: &mut mpsc::Receiver<&'static str>) {
    server.kill().unwrap();
    server.restart().unwrap();
    until_declared(&space.client).await;
    works(space, heard).await;
}

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_code_declares_comes_back_after_a_flush_and_after_an_empty_restart() {
    let server = server();
    let space = Space::on(server.url(), "lost");
    let (node, mut heard) = node(&space);
    until_declared(&space.client).await;
    server.command(&["FLUSHALL"]).unwrap();
    until_declared(&space.client).await;
    works(&space, &mut heard).await;
    comes_back(&server, &space, &mut heard).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_code_declares_comes_back_after_a_restore_of_an_older_state() {
    let server = server();
    let space = Space::on(server.url(), "restored");
    space.client.enqueue(Number(1)).await.unwrap();
    server.command(&["SAVE"]).unwrap();
    let (node, mut heard) = node(&space);
    until_declared(&space.client).await;
    comes_back(&server, &space, &mut heard).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_have_stored_since_the_loss_stays() {
    let server = server();
    let space = Space::on(server.url(), "lost_others");
    let (node, _heard) = node(&space);
    until_declared(&space.client).await;
    let schedules = space.client.schedules("clock");
    // A node that was only cut off declares nothing: an operator's removal stays.
    assert!(schedules.remove("clock.rare").await.unwrap());
    let last_beat = async || space.client.nodes().await.ok()?.first().map(|node| node.seen);
    let before = last_beat().await.unwrap();
    server.command(&["CLIENT", "KILL", "TYPE", "normal"]).unwrap();
    eventually("the node beats again", || async {
        last_beat().await.is_some_and(|seen| seen > before)
    })
    .await;
    assert!(schedules.get("clock.rare").await.unwrap().is_none());

    server.command(&["FLUSHALL"]).unwrap();
    let (told, _) = mpsc::channel(1);
    let newer = Scheduler::new(Clock(told)).job("tock", "5m").declarations().unwrap();
    space.client.declare_schedules("clock", "2", &newer).await.unwrap();
    until_declared(&space.client).await;
    let kept = schedules.get("clock.tock").await.unwrap().unwrap();
    let five_minutes = Timing::every(Duration::from_secs(300)).unwrap();
    assert_eq!((kept.deploy.as_deref(), kept.schedule.timing), (Some("2"), five_minutes));
    node.stop().await;
}

#[tokio::test]
async fn a_program_that_declares_a_batcher_declares_it_again_when_it_pushes() {
    let server = server();
    let space = Space::on(server.url(), "lost_batcher");
    let rows = space.client.batcher::<u64>("rows");
    rows.declare(BatchOptions::default().limit(7)).await.unwrap();
    rows.push(1).await.unwrap();
    for _ in 0..2 {
        server.command(&["FLUSHALL"]).unwrap();
        rows.push(2).await.unwrap();
        assert_eq!(rows.len().await.unwrap(), 1);
        server.command(&["FLUSHALL"]).unwrap();
        assert_eq!(rows.push_many([3, 4]).await.stored, 2);
        assert_eq!(rows.len().await.unwrap(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_server_of_a_cluster_has_lost_comes_back() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "lost_part");
    let owner = |key: &str| cluster.owner(cluster.slot_of(key).unwrap()).unwrap().port();
    let roster = owner("{roster}");
    // A queue whose server does not have the roster.
    let away = |queue: &String| owner(&format!("{{{queue}.0}}")) != roster;
    let queue = (0..).map(|n| format!("clock{n}")).find(away).unwrap();
    let keyed = (0..).map(|n| format!("keyed{n}")).find(away).unwrap();
    let (told, _heard) = mpsc::channel(100_000);
    let (worker, _numbers) = teller();
    let pool = Pool::new(keyed.as_str()).mode(Mode::Phash).size(2).worker(worker);
    // Two nodes, since one declares all it has when it notices a loss anywhere.
    let nodes = [
        start(space.node().add(clock(&told).queue(queue.as_str()))),
        start(space.node().pool(pool)),
    ];
    let schedules = space.client.schedules(&queue);
    let pool = space.client.pool::<Number>(&keyed);
    let leads = async || {
        let view = space.client.inspect(&queue).overview().await.unwrap();
        view.leader.is_some()
    };
    eventually("the schedules are declared, the pool is registered, and a node leads", || async {
        leads().await && pool.size().await.is_ok() && schedules.count().await.unwrap() == 2
    })
    .await;
    for server in cluster.nodes().iter().filter(|server| server.port() != roster) {
        server.command(&["FLUSHALL"]).unwrap();
    }
    eventually("both are back", || async {
        pool.size().await.is_ok() && schedules.count().await.unwrap() == 2
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}
