//! A fleet does all its work under the rules of the guide.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, Durability, GroupLimits, QueueLimits, Receipt, Result, Stored};

use super::Guarded;
use crate::harness::{Number, Running, Space, eventually, start};
use crate::waits::calls;

const HOUR: Duration = Duration::from_secs(3_600);
const SHORT: Duration = Duration::from_millis(10);

#[derive(Clone)]
struct Rows;

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        batch.all().await?;
        Ok(Done)
    }
}

/// Starts a node with a pool of each kind and a batcher.
fn node(worker: &Space) -> Running {
    let handler = worker_fn(|job: Number, cx: Context| async move {
        cx.progress(1, 2).await?;
        match job.0 {
            0 => Err("no".into()),
            1 => Ok(Cancel("pointless".into())),
            2 => Ok(Snooze(SHORT)),
            number => Ok::<_, BoxError>(Outcome::result(&number)?),
        }
    });
    let pool = Pool::new("q").size(2).worker(handler.clone());
    let addressed = Pool::new("addressed").size(1).mode(Mode::RoundRobin).worker(handler.clone());
    let copies = Pool::new("copies").size(1).mode(Mode::Broadcast).worker(handler);
    let rows = Batcher::new("rows", Rows).limit(3).timeout(HOUR);
    start(worker.node().pool(pool).pool(addressed).pool(copies).add(rows))
}

/// Enqueues jobs in every way, and waits for results.
async fn enqueue_in_every_way(producer: &Client) -> Receipt {
    let once = Policy::default().attempts(1);
    producer.enqueue(Number(0)).policy(once).await.unwrap();
    producer.enqueue(Number(1)).lane(Lane::Low).await.unwrap();
    producer.enqueue(Number(2)).lane(Lane::High).await.unwrap();
    for _ in 0..2 {
        producer.enqueue(Number(3)).id("three").idempotent(HOUR).await.unwrap();
        producer.enqueue(Number(3)).id("later").idempotent(HOUR).after(HOUR).await.unwrap();
        producer.enqueue(Number(3)).id("named").after(HOUR).await.unwrap();
    }
    producer.enqueue(Number(4)).after(SHORT).await.unwrap();
    let many = producer.enqueue_many((6..20).map(Number)).await;
    assert!(many.iter().all(Result::is_ok), "{many:?}");
    let reply: u64 = producer.call(Number(42)).await.unwrap();
    assert_eq!(reply, 42);
    let job = producer.enqueue(Number(43)).await.unwrap();
    let result: u64 = producer.job(&job).wait().timeout(HOUR).await.unwrap();
    assert_eq!(result, 43);
    let replicas = Durability::Replicated { replicas: 1, timeout: SHORT };
    let unconfirmed = producer.enqueue(Number(44)).durability(replicas).await.unwrap_err();
    assert!(unconfirmed.is_unknown(), "{unconfirmed}");
    producer.enqueue(Number(5)).after(HOUR).await.unwrap()
}

/// Casts to slots, broadcasts and pushes to batchers.
async fn send_to_pools(producer: &Client) {
    let addressed = producer.pool::<Number>("addressed");
    eventually("the pools are defined", || async {
        addressed.cast(Number(21)).await.is_ok()
            && producer.pool::<Number>("copies").cast(Number(22)).await.is_ok()
    })
    .await;
    let reply: u64 = addressed.slot(0).cast(Number(23)).call().await.unwrap();
    assert_eq!(reply, 23);
    let rows = producer.batcher::<u64>("own");
    let options = BatchOptions::default().limit(3);
    rows.declare(options).await.unwrap();
    for _ in 0..2 {
        rows.push(1).token("one", HOUR).await.unwrap();
    }
    assert_eq!(rows.push_many((0..10).collect::<Vec<u64>>()).await.stored, 10);
    assert!(rows.group("other").flush().await.unwrap().is_none());
    rows.group("other").push(1).await.unwrap();
    assert!(rows.group("other").flush().await.unwrap().is_some());
    let rows = producer.batcher::<u64>("rows");
    assert_eq!(rows.push_many((0..3).collect::<Vec<u64>>()).await.stored, 3);
}

#[tokio::test]
async fn each_user_can_do_its_work_under_the_rules_of_the_guide() {
    let Some(guarded) = Guarded::with_selectors("access") else { return };
    let (worker, reader) = (guarded.user("worker"), guarded.user("reader").client);
    let producer = guarded.user("producer").client;
    for delay in [HOUR, HOUR, SHORT] {
        let rule = Unique::until_done().by(&delay);
        producer.enqueue(Number(5)).unique(rule).after(delay).await.unwrap();
    }
    producer.enqueue(Number(5)).unique(Unique::until_start()).await.unwrap();
    let limited = guarded.user("operator").client.limits("limited");
    limited.set(QueueLimits::new()).await.unwrap();
    let grouped = producer.enqueue(Number(6)).queue("limited").group("a").await.unwrap();
    assert!(matches!(grouped.stored, Stored::Grouped(..)), "{grouped:?}");
    guarded.user("operator").client.job(&grouped).cancel().await.unwrap();
    producer.enqueue(Number(6)).queue("limited").group("b").await.unwrap();
    limited.set_group("c", GroupLimits::new().weight(2)).await.unwrap();
    assert!(limited.pause_group("b").await.unwrap());
    let seen = reader.limits("limited");
    assert_eq!(seen.largest_groups(9, |_| true).await.unwrap().groups.len(), 2);
    assert!(seen.resume_group("b").await.unwrap_err().is_auth());
    assert_eq!(limited.purge_group("b").await.unwrap(), 1);
    assert!(limited.resume_group("b").await.unwrap());
    limited.end().await.unwrap();
    limited.set(QueueLimits::new()).await.unwrap();
    let node = node(&worker);
    let far = enqueue_in_every_way(&producer).await;
    send_to_pools(&producer).await;
    eventually("all of it is done, as the reader sees it", || async {
        let view = reader.inspect("q").overview().await.unwrap();
        view.dead == 1
            && view.counters.get("cancelled") == Some(&1)
            && view.counters.get("completed").is_some_and(|done| *done >= 19)
    })
    .await;
    assert_eq!(reader.inspect("q").dead(None, 10).await.unwrap().jobs.len(), 1);
    assert_eq!(reader.nodes().await.unwrap().len(), 1);
    let rows = reader.batcher::<u64>("rows");
    eventually("the batch is done", || async { rows.sealed(9).await.unwrap().is_empty() }).await;

    let refused = reader.job(&far).cancel().await.unwrap_err();
    assert!(refused.is_auth(), "{refused}");
    assert!(reader.enqueue(Number(7)).await.unwrap_err().is_auth());
    let refused = producer.inspect("q").overview().await.unwrap_err();
    assert!(refused.is_auth(), "{refused}");
    worker.client.job(&far).cancel().await.unwrap();
    node.stop().await;
    assert!(!guarded.denials("reader").is_empty());
    assert_eq!(guarded.denials("worker"), Vec::<String>::new(), "the worker lacks something");
    // A producer looks among the dead while it waits, and for namesakes when it uses a name, whose
    // result it removes; and it ends the timers of full lists.
    let mut lacks = guarded.denials("producer");
    let tried = [":dead", ":dead:bodies", ":due"];
    lacks.retain(|it| it != "zrem" && !tried.iter().any(|key| it.ends_with(key)));
    lacks.retain(|it| !it.contains(":result:") && !it.contains(":progress:") && it != "pexpire");
    let overview = [format!("{}:{{q.0}}:ready:front", guarded.namespace)];
    assert_eq!(lacks, overview, "the producer lacks something, or may read the overview");
}

#[tokio::test]
async fn users_of_an_older_server_can_do_their_work_as_well() {
    let guarded = Guarded::start("older");
    let node = node(&guarded.user("worker"));
    let producer = guarded.user("producer-6.2").client;
    producer.enqueue(Number(3)).after(SHORT).await.unwrap();
    assert!(producer.enqueue_many((6..20).map(Number)).await.iter().all(Result::is_ok));
    // Without the right to the keys of limits a job goes through its lane.
    let grouped = producer.enqueue(Number(5)).group("a").await.unwrap();
    assert!(matches!(grouped.stored, Stored::Ready(_)), "{grouped:?}");
    let many = producer.enqueue_many((20..22).map(Number)).group("a").await;
    assert!(many.iter().all(Result::is_ok), "{many:?}");
    let reply: u64 = producer.call(Number(42)).await.unwrap();
    assert_eq!(reply, 42);
    let guest = guarded.user("guest-6.2").client;
    guest.enqueue(Number(3)).after(SHORT).await.unwrap();
    assert!(guest.enqueue(Number(3)).await.unwrap_err().is_auth());
    let sender = guarded.user("sender-6.2").client;
    enqueue_in_every_way(&sender).await;
    send_to_pools(&sender).await;
    let mut lacks = guarded.denials("sender-6.2");
    lacks.retain(|it| it != "zrem" && !it.ends_with(":dead:bodies"));
    assert_eq!(lacks, Vec::<String>::new(), "the sender lacks something");
    let reader = guarded.user("reader-6.2").client;
    assert!(reader.inspect("q").overview().await.is_ok());
    node.stop().await;
}

#[tokio::test]
async fn a_guest_enqueues_later_jobs_once_a_node_has_loaded_the_scripts() {
    let Some(guarded) = Guarded::with_selectors("guest") else { return };
    let (worker, guest) = (guarded.user("worker"), guarded.user("guest").client);
    let unloaded = guest.enqueue(Number(3)).after(SHORT).await.unwrap_err();
    assert!(unloaded.is_auth(), "{unloaded}");
    let node = node(&worker);
    worker.client.ping().await.unwrap();
    eventually("the scripts are loaded", || async {
        guest.enqueue(Number(3)).after(SHORT).await.is_ok()
    })
    .await;
    for _ in 0..2 {
        guest.enqueue(Number(4)).id("named").after(HOUR).await.unwrap();
        guest.enqueue(Number(4)).id("once").idempotent(HOUR).after(SHORT).await.unwrap();
    }
    assert!(guest.enqueue(Number(5)).await.unwrap_err().is_auth());
    worker.until_count("q", "completed", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn a_script_of_a_producer_has_the_rights_of_the_producer() {
    let Some(guarded) = Guarded::with_selectors("scripts") else { return };
    let producer = guarded.user("producer");
    let text = "return redis.call(ARGV[1], KEYS[1], unpack(ARGV, 2))";
    let sha: String = producer.redis(redis::cmd("SCRIPT").arg("LOAD").arg(text)).await;
    let client = redis::Client::open(producer.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let bodies = producer.key("q", "bodies");
    for (words, is_allowed) in [(&["HSETNX", "x", "y"][..], true), (&["HGET", "x"], false)] {
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&sha).arg(1).arg(&bodies).arg(words);
        let reply = cmd.query_async::<redis::Value>(&mut connection).await;
        assert_eq!(reply.is_ok(), is_allowed, "{words:?}: {reply:?}");
    }
}

#[tokio::test]
async fn a_wait_asks_once_for_the_dead_that_the_user_may_not_read() {
    let Some(guarded) = Guarded::with_selectors("denied") else { return };
    let producer = guarded.user("producer").client;
    let job = producer.enqueue(Number(0)).await.unwrap();
    let waiting = tokio::spawn(async move { producer.job(&job).wait::<u64>().timeout(HOUR).await });
    eventually("the caller has looked often", async || calls(&guarded.server, "get") > 4).await;
    // The log counts equal denials.
    let log = guarded.server.command(&["ACL", "LOG"]).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    let denied = |lines: &&[&str]| lines[0] == "count" && lines[7].ends_with(":dead:bodies");
    let counts: Vec<&str> = lines.windows(8).filter(denied).map(|lines| lines[1]).collect();
    assert_eq!(counts, ["1"], "{log}");
    waiting.abort();
}
