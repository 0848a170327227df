//! A server that loses its scripts while connections to it are open: each command is executed
//! once, whether it needs a script or not. And errors inside of scripts.

use std::time::Duration;

use poolder::{BatchOptions, Durability, Mode, PreparedJob, Stored};
use poolder_core::broker::{AcquireReply, Beater, PollRequest, Settled, Settlement, SlotPoll};
use poolder_core::policy::decide::Transition;
use poolder_core::{Entry, Lane, Partition, QueueName};
use poolder_devserver::{Sentinel, Server};

use crate::harness::{Number, Space};

const HOUR: Duration = Duration::from_secs(3600);

/// A server whose scripts are lost on request.
struct Forgetful(Server);

impl Forgetful {
    fn start() -> Self {
        Self(Server::start().unwrap_or_else(|error| panic!("{error}")))
    }

    fn forget(&self) {
        forget(&self.0);
    }

    /// Returns how many calls have asked for a missing script.
    fn misses(&self) -> u64 {
        stat(&self.0, "errorstats", "errorstat_NOSCRIPT:count=")
    }
}

fn forget(server: &Server) {
    server.command(&["SCRIPT", "FLUSH"]).unwrap();
}

/// Returns the number that follows `name` in a section of `INFO`, 0 if it is not there.
fn stat(server: &Server, section: &str, name: &str) -> u64 {
    let info = server.command(&["INFO", section]).unwrap();
    let number = |rest: &str| rest.split(',').next().unwrap().trim().parse().unwrap();
    info.lines().find_map(|line| line.strip_prefix(name)).map_or(0, number)
}

/// Prepares three plain jobs, three delayed ones, and three idempotent ones, in turn.
fn mixed(space: &Space, durability: Durability) -> Vec<PreparedJob> {
    let job = |number| {
        let job = space.client.enqueue(Number(number)).durability(durability);
        let job = match number % 3 {
            0 => job,
            1 => job.after(HOUR),
            _ => job.id(number.to_string()).idempotent(HOUR),
        };
        job.prepare().unwrap()
    };
    (0..9).map(job).collect()
}

#[tokio::test]
async fn an_enqueue_of_any_form_stores_its_job_once() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-enqueue");
    space.client.enqueue(Number(100)).await.unwrap();
    server.forget();
    space.client.enqueue(Number(101)).after(HOUR).await.unwrap();
    server.forget();
    space.client.enqueue(Number(102)).id("one").idempotent(HOUR).await.unwrap();
    let misses = server.misses();
    assert!(misses >= 2, "both needed a missing script");
    assert_eq!((space.ready("q").await, space.due("q").await), (2, 1));
    server.forget();
    let bulk = mixed(&space, Durability::Memory).into_iter().map(Ok).collect();
    let results = space.client.enqueue_prepared(bulk).await;
    assert_eq!(server.misses(), misses + 6);
    for (number, result) in results.into_iter().enumerate() {
        let due = matches!(result.unwrap().stored, Stored::Due(_));
        assert_eq!(due, number % 3 == 1, "{number} has the reply of another job");
    }
    assert_eq!((space.ready("q").await, space.due("q").await), (8, 4));
}

#[tokio::test]
async fn a_durable_bulk_stores_each_job_once_and_confirms_those_that_were_sent_again() {
    let servers = Sentinel::start(1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(servers.url(), "scripts-durable");
    let [primary, replica] = servers.servers();
    let one = Durability::replicated(1);
    space.client.enqueue(Number(100)).durability(one).await.unwrap();
    forget(primary);
    let bulk = mixed(&space, one).into_iter().map(Ok).collect();
    let results = space.client.enqueue_prepared(bulk).await;
    assert!(results.iter().all(Result::is_ok), "{results:?}");
    assert_eq!((space.ready("q").await, space.due("q").await), (7, 3));
    assert_eq!(stat(primary, "commandstats", "cmdstat_wait:calls="), 3);

    // Only calls of scripts: the first confirmation is about nothing, and comes at once.
    replica.pause().unwrap();
    forget(primary);
    let short = Durability::Replicated { replicas: 1, timeout: Duration::from_millis(100) };
    let delayed = |n| space.client.enqueue(Number(n)).after(HOUR).durability(short).prepare();
    let results = space.client.enqueue_prepared((200..203).map(delayed).collect()).await;
    replica.resume().unwrap();
    assert!(results.iter().all(|it| it.as_ref().is_err_and(poolder::Error::is_unknown)));
    assert_eq!(space.due("q").await, 6);
}

#[tokio::test]
async fn claims_are_settled_in_the_round_trip_that_claims_the_next() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-settle");
    space.client.enqueue_many((0..6).map(Number)).await;
    let mut connection = space.connection("q", "me").await;
    let claim = Some((Lane::Normal, 3));
    let first = connection.exchange(&[], claim, false).await.unwrap().claimed.unwrap().jobs;
    let history = connection.history();
    let complete = |job| Settlement::new(job, "me".into(), history.clone(), Transition::Complete);
    let settlements: Vec<_> = first.into_iter().map(complete).collect();
    server.forget();
    let exchange = connection.exchange(&settlements, claim, true).await.unwrap();
    assert_eq!(server.misses(), 1);
    assert!(exchange.settled.iter().all(|it| matches!(it, Settled::Applied)), "{exchange:?}");
    let second = exchange.claimed.unwrap().jobs;
    assert_eq!(second.len(), 3, "the claim was executed, and is not repeated");
    let settlements: Vec<_> = second.into_iter().map(complete).collect();
    server.forget();
    let partition = Partition::first(QueueName::new("q").unwrap());
    let broker = space.client.broker();
    let settled = broker.settle(&partition, Default::default(), &settlements).await;
    assert!(settled.iter().all(|it| matches!(it, Settled::Applied)), "{settled:?}");
    assert_eq!(server.misses(), 2);
    assert_eq!((space.count("q", "completed").await, space.ready("q").await), (6, 0));
}

#[tokio::test]
async fn a_node_goes_on_beating() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-beat");
    let mut beater = Beater::new(space.client.broker());
    let beats = tokio::task::spawn_blocking(move || {
        beater.beat("node", std::time::Duration::ZERO).unwrap();
        server.forget();
        let beat = beater.beat("node", std::time::Duration::ZERO).unwrap();
        server.forget();
        let marked = beater.mark("other", "0").unwrap();
        (beat.marked, marked, server.misses())
    });
    assert_eq!(beats.await.unwrap(), (false, false, 3), "the first beat finds a new server");
}

#[tokio::test]
async fn a_poll_of_a_slot_completes_and_claims_once() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-poll");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    for number in 0..3 {
        server.forget();
        pool.slot(0).cast(Number(number)).await.unwrap();
    }
    let (place, node) = (Partition { queue, index: 0 }, "holder".into());
    let AcquireReply::Ours(lease) = broker.acquire_slot(&place, &node, None).await.unwrap() else {
        panic!("no other node holds it")
    };
    let mut done = vec![];
    for left in [1, 1, 1, 0] {
        let request = PollRequest {
            complete: &done,
            claim: 1,
            generation: 1,
            open: true,
            ..Default::default()
        };
        let request = PollRequest { lane: Lane::Normal, ..request };
        let before = server.misses();
        server.forget();
        let reply = broker.poll_slot(&lease, &request).await.unwrap();
        assert!(server.misses() > before, "the poll needed a missing script");
        assert_eq!(reply.completed, done.len());
        done = match reply.result {
            SlotPoll::Claimed(entries) => entries.iter().map(entry).collect(),
            _ => vec![],
        };
        assert_eq!(done.len(), left);
    }
    assert_eq!(space.count("q", "completed").await, 3);
}

fn entry(entry: &Entry) -> poolder_core::EntryId {
    let Entry::Job(claim) = entry else { panic!("{entry:?}") };
    claim.entry.clone()
}

#[tokio::test]
async fn entries_of_a_batcher_are_stored_once_and_in_order() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-push");
    let rows = space.client.batcher::<u64>("rows");
    server.forget();
    rows.declare(BatchOptions::default().limit(1_000).timeout(None)).await.unwrap();
    server.forget();
    rows.push(0).await.unwrap();
    server.forget();
    rows.push_many(1..400).await.all().unwrap();
    server.forget();
    assert_eq!(rows.list(0).await.unwrap().entries, (0..400).collect::<Vec<_>>());
    rows.flush().await.unwrap();
    assert_eq!(rows.sums().await.unwrap().sealed_entries, 400);
    assert!(server.misses() >= 4);
}

#[tokio::test]
async fn a_script_that_raises_an_error_is_unknown_and_one_that_wrote_nothing_is_refused() {
    let server = Forgetful::start();
    let space = Space::on(server.0.url(), "scripts-fail");
    let delayed = || space.client.enqueue(Number(1)).after(HOUR);
    space.redis::<()>(redis::cmd("SET").arg(space.key("raises", "bodies")).arg("mine")).await;
    let error = delayed().queue("raises").await.unwrap_err();
    assert!(error.is_unknown() && error.to_string().contains("WRONGTYPE"), "{error}");
    space.redis::<()>(redis::cmd("SET").arg(space.key("takes-back", "due")).arg("mine")).await;
    let error = delayed().queue("takes-back").await.unwrap_err();
    assert!(error.is_refused() && error.to_string().contains("WRONGTYPE"), "{error}");
    let bodies = space.key("takes-back", "bodies");
    assert_eq!(space.redis::<u64>(redis::cmd("HLEN").arg(bodies)).await, 0, "nothing is stored");
    for (setting, on, off) in [("maxmemory", "1", "0"), ("min-replicas-to-write", "1", "0")] {
        server.0.command(&["CONFIG", "SET", setting, on]).unwrap();
        let error = delayed().await.unwrap_err();
        assert!(error.is_refused() && error.job_id().is_some(), "{error}");
        server.0.command(&["CONFIG", "SET", setting, off]).unwrap();
        assert_eq!(space.due("q").await, 0, "{setting}: nothing was stored");
    }
    delayed().await.unwrap();
    assert_eq!(space.due("q").await, 1);
}
