//! Outages of the server, as pushers and workers see them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Config, Result};
use poolder_devserver::{Cluster, Fsync, Server};

use super::{NAME, batcher, declared, doer, limit, next};
use crate::harness::{Space, eventually, start, within};

const WINDOW: Duration = Duration::from_secs(3_600);

/// How often each number was in a batch and was not put back for a retry.
type Counts = Arc<Mutex<BTreeMap<u64, u32>>>;

/// Returns a handler that fails every seventh entry once, and counts the entries that succeed.
fn counting(
    counts: &Counts,
) -> impl Fn(&mut Batch<u64>, &[(usize, u64)], &Context) -> Result<Outcome> + Clone + Send + 'static
{
    let counts = Arc::clone(counts);
    move |batch: &mut Batch<u64>, all: &[(usize, u64)], cx: &Context| {
        for (index, entry) in all {
            if entry % 7 == 0 && cx.attempt() == 1 {
                batch.retry(*index, "once");
            } else {
                *counts.lock().unwrap().entry(*entry).or_default() += 1;
            }
        }
        Ok(Done)
    }
}

#[tokio::test]
async fn cut_connections_lose_no_entry_and_store_none_twice() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "batch-cut");
    let counts = Counts::default();
    let (batcher, mut told) = batcher(counting(&counts));
    let at_once = Backoff::Fixed(Duration::from_millis(1));
    let batcher = batcher
        .limit(10)
        .size(4)
        .timeout(super::SHORT)
        .policy(Policy::default().attempts(101).backoff(at_once));
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher));
    let drain = tokio::spawn(async move { while told.recv().await.is_some() {} });
    let pusher = {
        let rows = rows.clone();
        tokio::spawn(async move {
            for number in 0..400_u64 {
                let push = || rows.push(number).token(format!("n{number}"), WINDOW);
                while let Err(error) = push().await {
                    assert!(error.is_unknown() || error.is_refused(), "{error}");
                }
            }
            loop {
                let bulk = rows.push_many(1_000..2_500).token("many", WINDOW).await;
                match bulk.error {
                    None => return,
                    Some(error) => assert!(error.is_unknown() || error.is_refused(), "{error}"),
                }
            }
        })
    };
    while !pusher.is_finished() {
        server.command(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).unwrap();
        // Some pushes succeed between two cuts.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    within(pusher).await.unwrap();
    eventually("all are done", || async {
        rows.sums().await.is_ok_and(|sums| (sums.open, sums.waiting) == (0, 0))
    })
    .await;
    let counts = counts.lock().unwrap().clone();
    let missing: Vec<u64> =
        (0..400).chain(1_000..2_500).filter(|number| !counts.contains_key(number)).collect();
    assert_eq!(missing, [0; 0]);
    // An attempt may run again when its settlement was lost, but no entry is stored twice.
    assert_eq!(rows.sums().await.unwrap().sealed_entries, 1_900);
    node.stop().await;
    drain.abort();
}

#[tokio::test]
async fn a_push_whose_reply_is_late_is_unknown_and_under_a_token_it_is_one() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "batch-late");
    let rows = declared(&space, limit(100)).await;
    let config = Config::new(space.url()).namespace(space.name());
    let hasty = Client::new(config.response_timeout(Duration::from_millis(200))).unwrap();
    let hasty = hasty.batcher::<u64>(NAME);
    hasty.push(0).await.unwrap();
    server.command(&["CLIENT", "PAUSE", "1000", "WRITE"]).unwrap();
    let (plain, bulk, token) =
        tokio::join!(hasty.push(1), hasty.push_many(2..4), hasty.push(9).idempotent(WINDOW));
    let error = plain.unwrap_err();
    assert!(error.is_unknown(), "{error}");
    assert_eq!((bulk.stored, bulk.unknown), (0, 2));
    assert!(bulk.error.is_some_and(|error| error.is_unknown()));
    token.unwrap();
    let mut found = rows.list(0).await.unwrap().entries;
    found.sort_unstable();
    found.dedup_by(|one, other| one == other && *one != 9);
    assert_eq!(found.iter().filter(|entry| **entry == 9).count(), 1, "{found:?}");
}

#[tokio::test]
async fn a_restarted_server_has_its_entries_and_its_timers() {
    let server = Server::builder().aof(Fsync::Always).start().unwrap_or_else(|e| panic!("{e}"));
    let space = Space::on(server.url(), "batch-restart");
    let options = limit(100).timeout(Duration::from_secs(1));
    let rows = declared(&space, options).await;
    rows.push_many(0..150).await.all().unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    let (batcher, mut told) = doer();
    let node = start(space.node().add(batcher.limit(100).timeout(Duration::from_secs(1))));
    let mut seen = next(&mut told).await.entries;
    seen.extend(next(&mut told).await.entries);
    seen.sort_unstable();
    assert_eq!(seen, (0..150).collect::<Vec<_>>());
    node.stop().await;
}

#[tokio::test]
async fn batchers_live_all_over_a_cluster() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "batch-cluster");
    let counts = Counts::default();
    let at_once = Backoff::Fixed(Duration::from_millis(1));
    let mut node = space.node();
    let (mut handles, mut told) = (vec![], vec![]);
    for name in ["rows", "b", "c", "d"] {
        let (tell, heard) = tokio::sync::mpsc::channel(10_000);
        let worker = super::Teller { tell, act: counting(&counts) };
        let batcher = Batcher::new(name, worker).limit(10).timeout(super::SHORT);
        let batcher = batcher.policy(Policy::default().attempts(6).backoff(at_once.clone()));
        handles.push(batcher.handle(&space.client));
        told.push(heard);
        node = node.add(batcher);
    }
    let node = start(node);
    for (at, rows) in (0..).zip(&handles) {
        let group = rows.group("g");
        group.push_many(at * 100..at * 100 + 55).await.all().unwrap();
        rows.push(at * 100 + 55).await.unwrap();
        group.pop(0).await.unwrap();
        assert_eq!(group.list(0).await.unwrap().len, 4);
    }
    for rows in &handles {
        eventually("all are done", || async {
            let sums = rows.sums().await.unwrap();
            (sums.open, sums.waiting) == (0, 0)
        })
        .await;
        assert!(rows.sealed(10).await.unwrap().is_empty());
    }
    assert_eq!(counts.lock().unwrap().len(), 4 * 55);
    node.stop().await;
}
