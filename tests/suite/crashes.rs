//! Nodes that are killed, paused or stopped: their jobs run on other nodes, and attempts and crashes
//! are counted correctly.

use std::collections::{BTreeSet, HashMap};

use poolder::prelude::*;
use poolder::{Cause, Config, Timestamp};
use poolder_devserver::Server;

use crate::child::{HELD, KILLER, Process, SLOW};
use crate::harness::{Number, Space, eventually, start, teller, within};

#[tokio::test]
async fn jobs_of_a_killed_node_run_elsewhere_and_count_a_crash_not_an_attempt() {
    let space = Space::new("sigkill");
    let mut doomed = Process::start(&space, 100);
    let all: BTreeSet<u64> = (HELD..HELD + 100).collect();
    space.client.enqueue_many(all.iter().copied().map(Number)).await;
    let held: BTreeSet<u64> = doomed.started(100).await.iter().map(|start| start.number).collect();
    assert_eq!(held, all);
    doomed.signal("KILL").await;

    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(8).worker(worker)));
    let mut seen = BTreeSet::new();
    while seen.len() < all.len() {
        let (number, cx) = within(told.recv()).await.unwrap();
        assert!(seen.insert(number), "{number} ran twice");
        assert_eq!((cx.attempt(), cx.fence()), (1, 2));
    }
    space.until_count("q", "completed", 100).await;
    assert_eq!(space.count("q", "rescued").await, 100);
    node.stop().await;
    assert_eq!((space.ready("q").await, space.count("q", "completed").await), (0, 100));
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_node_that_was_paused_past_its_lease_changes_nothing_and_comes_back_renamed() {
    let space = Space::new("sigstop");
    let mut paused = Process::start(&space, 3);
    space.client.enqueue_many((SLOW..SLOW + 3).map(Number)).await;
    paused.started(3).await;
    let nodes = format!("{}:{{roster}}:nodes", space.name());
    let mut roster = redis::cmd("ZRANGE");
    roster.arg(&nodes).arg(0).arg(-1);
    let before: Vec<String> = space.redis(&mut roster).await;
    paused.signal("STOP").await;

    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(3).worker(worker)));
    for _ in 0..3 {
        let (_, cx) = within(told.recv()).await.unwrap();
        assert_eq!(cx.fence(), 2);
    }
    space.until_count("q", "completed", 3).await;
    node.stop().await;

    // Its handlers finish long after other nodes have completed their jobs.
    paused.signal("CONT").await;
    eventually("it stands in the roster under a new name", || async {
        let now: Vec<String> = space.redis(&mut roster.clone()).await;
        !now.is_empty() && now.iter().all(|name| !before.contains(name))
    })
    .await;
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(paused.next().await.map(|start| start.number), Some(1), "it works again");
    space.until_count("q", "completed", 4).await;
    paused.signal("TERM").await;
    assert!(paused.ended().await);
    assert_eq!(space.count("q", "completed").await, 4, "late settles changed nothing");
    assert_eq!(space.ready("q").await, 0);
}

#[tokio::test]
async fn a_node_that_stops_releases_its_jobs_and_counts_nothing() {
    let space = Space::new("sigterm");
    let mut leaving = Process::start(&space, 5);
    space.client.enqueue_many((HELD..HELD + 5).map(Number)).await;
    leaving.started(5).await;
    let its_name = format!(":{}:", leaving.pid());
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(5).worker(worker)));
    leaving.signal("TERM").await;
    for _ in 0..5 {
        let (_, cx) = within(told.recv()).await.unwrap();
        assert_eq!((cx.attempt(), cx.fence()), (1, 2));
    }
    assert!(leaving.ended().await, "it exits with success");
    let names = space.consumers("q").await;
    let stays = names.iter().any(|name| name.contains(&its_name));
    assert!(!stays, "it takes its consumers along: {names:?}");
    space.until_count("q", "completed", 5).await;
    assert_eq!(space.count("q", "handed_back").await, 5);
    assert_eq!(space.count("q", "rescued").await, 0);
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_kills_its_process_is_buried_alone() {
    let space = Space::new("killer");
    space.client.enqueue_many((0..16).map(Number)).await;
    let innocents = 15;
    let mut deaths = 0;
    let mut node = loop {
        let mut node = Process::start(&space, 16);
        tokio::select! {
            () = space.until_count("q", "buried", 1) => break node,
            ended_well = node.ended() => assert!(!ended_well, "it is killed"),
        }
        node.age(&space).await;
        deaths += 1;
        assert!(deaths <= 3, "three crashes bury the culprit");
    };
    space.until_count("q", "completed", innocents).await;
    node.signal("TERM").await;
    assert!(node.ended().await);
    assert_eq!(deaths, 3);
    assert_eq!(space.count("q", "buried").await, 1);
    let dead = space.dead("q").await.join("\n");
    assert!(dead.contains("(crash 3)"), "{dead:?}");
    let page = space.client.inspect("q").dead(None, 10).await.unwrap();
    let attempts = page.jobs[0].attempts();
    assert!(attempts.len() == 3 && attempts.iter().all(|it| it.cause == Cause::Crash));
    assert!(attempts.iter().all(|it| it.at > Timestamp::from_millis(0) && !it.node.is_empty()));
    assert_eq!(attempts[0].fingerprint, attempts[2].fingerprint, "whatever the node");
    assert_eq!(space.count("q", "completed").await, innocents);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_keyed_job_that_kills_its_process_is_buried_and_its_key_goes_on_in_order() {
    let space = Space::new("keyed-killer");
    let pool = space.client.pool::<Number>("q");
    let mut node = Process::in_mode(&space, 2, Mode::Phash);
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    // Both slots have work: slot 0 the jobs of the key, slot 1 jobs without a key.
    for number in [1, KILLER, 2, 3] {
        pool.slot(0).cast(Number(number)).key("key").await.unwrap();
    }
    // The slow job runs whenever the node dies, and soon has as many crashes as the culprit.
    for number in [SLOW, 21, 22] {
        pool.slot(1).cast(Number(number)).await.unwrap();
    }
    let (mut key, mut neighbours, mut names) = (vec![], BTreeSet::new(), BTreeSet::new());
    let slot = async |index| pool.slot(index).view().await.unwrap();
    for _ in 0..4 {
        loop {
            let start = tokio::select! {
                start = node.next() => start,
                () = eventually("all is done", || async {
                    let (one, two) = (slot(0).await, slot(1).await);
                    [one, two].iter().all(|it| it.backlog == 0 && it.running.is_none())
                }) => break,
            };
            let Some(start) = start else { break };
            match start.number {
                20.. => drop(neighbours.insert(start.number)),
                number => key.push((number, start.attempt)),
            }
            if start.number == KILLER {
                names.extend(slot(0).await.node);
            }
        }
        if key.last().is_some_and(|last| last.0 == KILLER) {
            assert!(!node.ended().await, "it is killed");
            node.age(&space).await;
            node = Process::in_mode(&space, 2, Mode::Phash);
        }
    }
    let killed = [(KILLER, 1); 3];
    let expected = [&[(1, 1)], killed.as_slice(), &[(2, 1), (3, 1)]].concat();
    assert_eq!(key, expected, "three crashes, no attempt, and then the key goes on");
    assert_eq!(neighbours, BTreeSet::from([SLOW, 21, 22]));
    let stats = format!("{}:{{q.1}}:stats", space.name());
    let completed: u64 = space.redis(redis::cmd("HGET").arg(stats).arg("completed")).await;
    assert_eq!(completed, 3, "no neighbour is buried");
    let dead = space.dead("q").await.join("\n");
    assert!(dead.contains("(crash 3)") && names.iter().any(|name| dead.contains(name)), "{dead:?}");
    node.signal("TERM").await;
    assert!(node.ended().await);
}

/// Sets the keys that each node may use.
fn allow(server: &Server, nodes: &[String], keys: &str) {
    for node in nodes {
        server.command(&["ACL", "SETUSER", node, "resetkeys", keys]).unwrap();
    }
}

/// Returns the users whose heartbeat the server has refused.
async fn refused_beats(space: &Space, roster: &str) -> BTreeSet<String> {
    let denials: Vec<HashMap<String, redis::Value>> =
        space.redis(redis::cmd("ACL").arg("LOG").arg(1_000)).await;
    let text = |value: &redis::Value| redis::from_redis_value::<String>(value.clone()).unwrap();
    let of_beats = denials.iter().filter(|denial| text(&denial["object"]) == roster);
    of_beats.map(|denial| text(&denial["username"])).collect()
}

#[tokio::test]
async fn a_fleet_whose_beats_all_failed_gets_no_node_declared_dead() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "away");
    let (worker, mut told) = teller();
    let names: Vec<String> = (0..20).map(|number| format!("node{number}")).collect();
    let mut nodes = vec![];
    for name in &names {
        server.command(&["ACL", "SETUSER", name, "on", ">pw", "~*", "&*", "+@all"]).unwrap();
        let url = format!("{}?user={name}&pass=pw", server.url());
        let client = Client::new(Config::new(url).namespace(space.name())).unwrap();
        let pool = Pool::new("q").size(1).worker(worker.clone());
        nodes.push(start(Node::builder(client).pool(pool)));
    }
    let roster = format!("{}:{{roster}}:nodes", space.name());
    let marks = format!("{}:{{roster}}:marks", space.name());
    let beats = async || -> Vec<(String, f64)> {
        let mut all = redis::cmd("ZRANGE");
        space.redis(all.arg(&roster).arg(0).arg(-1).arg("WITHSCORES")).await
    };
    eventually("all nodes are there", || async { beats().await.len() == 20 }).await;
    // No beat is accepted, and soon every node has noticed that.
    allow(&server, &names, &format!("~{}:{{q.*", space.name()));
    eventually("a beat of every node is refused", || async {
        refused_beats(&space, &roster).await.len() == 20
    })
    .await;
    // The outage has lasted longer than the silence of 8 s after which a node is named in the
    // replies to heartbeats: the last beats are moved into the past.
    for (node, _) in beats().await {
        space.redis::<f64>(redis::cmd("ZINCRBY").arg(&roster).arg(-11_000).arg(node)).await;
    }
    let mut last = beats().await;
    allow(&server, &names, "~*");
    // After three more heartbeats of every node, any node that could be declared dead would be.
    for _ in 0..3 {
        let fresh = async || {
            let now = beats().await;
            now.len() == 20 && now.iter().all(|one| !last.contains(one))
        };
        eventually("every node has sent a beat", &fresh).await;
        last = beats().await;
    }
    assert_eq!(space.redis::<u64>(redis::cmd("ZCARD").arg(&marks)).await, 0);
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    for node in nodes {
        node.stop().await;
    }
    assert_eq!(space.count("q", "rescued").await, 0);
}
