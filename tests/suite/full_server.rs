//! A server that is out of memory under `noeviction`: whatever frees memory, keeps a fleet alive or
//! belongs to an operator works there, and only what producers add is refused.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    AuditFilter, BatchOptions, Error, Handle, Limited, QueueLimits, Rate, Result, SavedView,
};
use poolder_devserver::Server;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::harness::{Number, Running, Space, eventually, start, teller, within};

const HOUR: Duration = Duration::from_secs(3_600);

/// A job of each way to end: by the first letter of its text.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "ending", queue = "q")]
struct Ending(String);

/// Fills the server: from now on it refuses what needs memory.
fn fill(server: &Server) {
    server.command(&["CONFIG", "SET", "maxmemory", "1"]).unwrap();
}

fn server() -> Server {
    Server::start().unwrap_or_else(|error| panic!("{error}"))
}

fn endings(told: mpsc::Sender<String>) -> impl Worker<Job = Ending> {
    worker_fn(move |job: Ending, cx: Context| {
        let told = told.clone();
        async move {
            cx.progress(1, 2).await?;
            told.send(format!("{} {}", job.0, cx.attempt())).await?;
            match (&job.0[..1], cx.attempt()) {
                ("r", 1) => Err("again, please".into()),
                ("s", 1) => Ok(Snooze(Duration::from_millis(50))),
                ("d", _) => Err("dies".into()),
                ("c", _) => Ok(Cancel("pointless".into())),
                ("v", _) => Ok(Outcome::result(&7)?),
                _ => Ok::<_, BoxError>(Done),
            }
        }
    })
}

#[derive(Clone)]
struct Rows(mpsc::Sender<String>);

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        for (at, entry) in batch.all().await? {
            self.0.send(format!("row {entry}")).await?;
            if entry == 0 {
                batch.bury(at, "no such row");
            }
        }
        Ok(Done)
    }
}

#[derive(Clone)]
struct Clock(mpsc::Sender<String>);

impl Periodic for Clock {
    const NAME: &'static str = "clock";

    async fn handle_job(&mut self, job: &str, _: Context) -> Result<Then> {
        self.0.send(format!("tick {job}")).await?;
        Ok(Then::Continue)
    }
}

fn node(space: &Space) -> (Running, mpsc::Receiver<String>) {
    let (told, heard) = mpsc::channel(100_000);
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::from_millis(20)));
    let slot = {
        let told = told.clone();
        worker_fn(move |job: Number, cx: Context| {
            let told = told.clone();
            async move {
                told.send(format!("slot {} {}", job.0, cx.attempt())).await?;
                if cx.attempt() == 1 {
                    Err("again, please".into())
                } else {
                    Ok::<_, BoxError>(Done)
                }
            }
        })
    };
    let copy = {
        let told = told.clone();
        worker_fn(move |job: Number, _: Context| {
            let told = told.clone();
            async move {
                told.send(format!("copy {}", job.0)).await?;
                Ok::<_, BoxError>(Done)
            }
        })
    };
    let pool = Pool::new("q").size(8).policy(policy.clone()).worker(endings(told.clone()));
    let keyed = Pool::new("keyed").mode(Mode::Phash).size(2).policy(policy).worker(slot);
    let copies = Pool::new("copies").mode(Mode::Broadcast).size(1).worker(copy);
    let builder = space.node().pool(pool).pool(keyed).pool(copies);
    let rows = Batcher::new("rows", Rows(told.clone())).timeout(Duration::from_millis(300));
    let clock = Scheduler::new(Clock(told)).job("tock", "1s");
    (start(builder.add(rows).add(clock)), heard)
}

async fn hear(heard: &mut mpsc::Receiver<String>, mut expected: Vec<&str>) {
    while !expected.is_empty() {
        let said = within(heard.recv()).await.unwrap();
        expected.retain(|one| *one != said);
    }
}

fn assert_full(what: &str, error: &Error) {
    let text = error.to_string();
    assert!(error.is_refused() && text.contains("out of memory"), "{what}: {text}");
}

async fn ending(space: &Space, text: &str) -> Handle {
    let job = space.client.enqueue(Ending(text.into())).keep_completion(HOUR);
    job.await.unwrap().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_starts_on_a_full_server_and_drains_all_kinds_of_pools() {
    let server = server();
    let space = Space::on(server.url(), "full");
    let client = space.client.clone();
    // Pools and batchers must be registered before producers can use them.
    let (first, _heard) = node(&space);
    let keyed = client.pool::<Number>("keyed");
    eventually("the pool is registered", || async { keyed.size().await.is_ok() }).await;
    let rows = client.batcher::<u64>("rows");
    eventually("the batcher is declared", || async { rows.flush().await.is_ok() }).await;
    first.stop().await;
    for text in ["fine", "retry", "snooze", "dead", "cancel", "value"] {
        ending(&space, text).await;
    }
    client.enqueue(Ending("late".into())).after(Duration::from_millis(10)).await.unwrap();
    keyed.cast(Number(1)).key("a").await.unwrap();
    assert_eq!(rows.push_many((0..3).collect::<Vec<u64>>()).await.stored, 3);

    fill(&server);
    let (node, mut heard) = node(&space);
    let all = ["fine 1", "retry 2", "snooze 1", "dead 2", "cancel 1", "value 1", "late 1"];
    let others = ["slot 1 1", "slot 1 2", "row 0", "row 1", "row 2", "tick tock"];
    hear(&mut heard, [&all[..], &others].concat()).await;
    eventually("everything is settled", || async {
        space.ready("q").await + space.ready("keyed").await + space.ready("rows").await == 0
    })
    .await;
    assert_eq!((space.dead("q").await.len(), space.dead("rows").await.len()), (1, 1));
    assert_eq!(client.nodes().await.unwrap().len(), 1);
    node.stop().await;
    assert_eq!(client.nodes().await.unwrap().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_server_refuses_what_producers_add_and_obeys_operators() {
    let server = server();
    let space = Space::on(server.url(), "full_rules");
    let client = space.client.clone();
    let (node, mut heard) = node(&space);
    let (keyed, copies) = (client.pool::<Number>("keyed"), client.pool::<Number>("copies"));
    eventually("the pools are registered", || async {
        keyed.size().await.is_ok() && copies.view().await.is_ok()
    })
    .await;
    let dead = ending(&space, "dead").await;
    hear(&mut heard, vec!["dead 2"]).await;
    eventually("it is dead", || async { space.overview("q").await.dead == 1 }).await;
    client.schedule("there", "1h", Number(1)).await.unwrap();
    let later = |text: &str| client.enqueue(Ending(text.into())).after(HOUR);
    let (sooner, never) = (later("now").await.unwrap(), later("never").await.unwrap());
    let (gone, buried) = (later("gone").await.unwrap(), later("buried").await.unwrap());
    let rows = client.batcher::<u64>("rows");
    let mut exported = vec![];
    let write = |line: &str| {
        exported.push(line.to_owned());
        Ok(())
    };
    client.export().queue("q").state(poolder::KeptState::Dead).write(write).await.unwrap();
    fill(&server);

    let job = || Ending("new".into());
    assert_full("import", &import(&space, &exported).await.unwrap_err());
    assert_full("enqueue", &client.enqueue(job()).await.unwrap_err());
    assert_full("delayed", &client.enqueue(job()).after(HOUR).await.unwrap_err());
    assert_full("idempotent", &client.enqueue(job()).idempotent(HOUR).await.unwrap_err());
    for result in client.enqueue_many([job(), job()]).await {
        assert_full("bulk", &result.unwrap_err());
    }
    assert_full("call", &client.call::<_, u64>(job()).await.unwrap_err());
    assert_full("cast", &keyed.cast(Number(1)).key("a").await.unwrap_err());
    assert_full("broadcast", &copies.cast(Number(1)).await.unwrap_err());
    assert_full("push", &rows.push(1).await.unwrap_err());
    assert_full("schedule", &client.schedule("new", "1h", Number(1)).await.unwrap_err());

    let inspector = client.inspect("q");
    client.job(&buried).bury("no").await.unwrap();
    client.job(&buried).remove().await.unwrap();
    client.job(sooner).run_now().await.unwrap();
    hear(&mut heard, vec!["now 1"]).await;
    client.job(dead).revive().await.unwrap();
    hear(&mut heard, vec!["dead 2"]).await;
    client.job(never).cancel().await.unwrap();
    client.job(gone).remove().await.unwrap();
    assert!(client.pause("q").await.unwrap() && client.resume("q").await.unwrap());
    let schedules = client.schedules("q");
    schedules.pause("there").await.unwrap();
    schedules.resume("there").await.unwrap();
    assert!(schedules.remove("there").await.unwrap());
    let audit = client.audit(&AuditFilter::default(), None, 10).await.unwrap();
    assert_eq!(audit.entries[0].record.action, "schedule.remove");
    let view = SavedView::new("dead", "/jobs?state=dead").unwrap();
    assert!(client.save_view(&view).await.unwrap() && client.remove_view("dead").await.unwrap());
    keyed.resize(3).await.unwrap();
    eventually("the third slot has a holder", || async {
        keyed.slots().await.unwrap().iter().filter(|slot| slot.node.is_some()).count() == 3
    })
    .await;
    keyed.slot(2).stop().await.unwrap();
    let batcher = client.batcher::<u64>("other");
    batcher.declare(BatchOptions::default()).await.unwrap();
    assert_eq!(space.overview("q").await.due, 0);
    assert!(
        inspector.ready(Lane::Normal, None, 10).await.is_ok()
            && inspector.running(None, 10).await.is_ok()
    );
    assert!(inspector.due(None, 10).await.is_ok() && inspector.dead(None, 10).await.is_ok());

    server.command(&["CONFIG", "SET", "maxmemory", "0"]).unwrap();
    copies.cast(Number(5)).await.unwrap();
    hear(&mut heard, vec!["copy 5"]).await;
    node.stop().await;
}

/// Imports the lines of an export into another namespace.
async fn import(beside: &Space, lines: &[String]) -> Result<(), Error> {
    let other = Space::on(beside.url(), "full_import");
    let mut import = other.client.import();
    for line in lines {
        import.line(line).await?;
    }
    import.finish().await.map(|_| ())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_node_is_rescued_on_a_full_server() {
    let server = server();
    let space = Space::on(server.url(), "full_rescue");
    // The entry of a consumer that the roster names, and that never beats again.
    let mut connection = space.connection("q", "lost").await;
    space.client.enqueue(Number(1)).await.unwrap();
    let claimed = connection.exchange(&[], Some((Lane::Normal, 1)), true).await.unwrap();
    assert_eq!(claimed.claimed.unwrap().jobs.len(), 1);
    let nodes = format!("{}:{{roster}}:nodes", space.name());
    space.redis::<()>(redis::cmd("ZADD").arg(nodes).arg(1).arg("lost")).await;
    fill(&server);
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let (number, cx) = within(told.recv()).await.unwrap();
    assert_eq!((number, cx.attempt()), (1, 1));
    assert_eq!(space.count("q", "rescued").await, 1);
    eventually("it is settled", || async { space.ready("q").await == 0 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_limited_queue_goes_on_on_a_full_server() {
    let server = server();
    let space = Space::on(server.url(), "full_limits");
    let rate = Rate::per(100, Duration::from_secs(1)).burst(1);
    space.client.limits("q").set(QueueLimits::new().group_rate(rate)).await.unwrap();
    let (told, mut heard) = mpsc::channel(100);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let told = told.clone();
        async move {
            told.send(job.0).await?;
            cx.charge(2);
            match (job.0, cx.fence()) {
                (1, 1) => Err(Limited::group(Duration::from_millis(20)).into()),
                _ => Ok::<_, BoxError>(Done),
            }
        }
    });
    for number in 0..6 {
        space.client.enqueue(Number(number)).group("a").await.unwrap();
    }
    fill(&server);
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    for number in [0, 1, 1, 2, 3, 4, 5] {
        assert_eq!(within(heard.recv()).await.unwrap(), number);
    }
    node.stop().await;
}
