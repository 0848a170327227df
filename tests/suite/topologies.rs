//! Sentinel and Cluster: the same promises with several servers.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use poolder_core::broker::Beater;
use poolder_devserver::{Cluster, Sentinel, Server};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, cast_until_received, eventually, start, teller, within};

/// Receives numbers until all stored ones have arrived.
async fn all_of(stored: &BTreeSet<u64>, told: &mut mpsc::Receiver<(u64, Context)>) {
    let mut seen = BTreeSet::new();
    while !stored.is_subset(&seen) {
        seen.insert(within(told.recv()).await.unwrap().0);
    }
}

/// Repeats an enqueue until it is certainly stored.
async fn surely(client: &Client, number: u64) {
    let hour = Duration::from_secs(3600);
    let job = || client.enqueue(Number(number)).id(number.to_string()).idempotent(hour);
    while let Err(error) = job().await {
        assert!(error.is_unknown() || error.is_refused(), "{error}");
    }
}

#[tokio::test]
async fn queues_live_all_over_a_cluster_and_while_their_slots_move() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "cluster");
    let (worker, mut told) = teller();
    let mut node = space.node();
    let queues = ["q", "a", "b", "c", "d", "e"];
    for queue in queues {
        node = node.pool(Pool::new(queue).size(4).worker(worker.clone()));
    }
    let node = start(node);
    let mut stored = BTreeSet::new();
    for (at, queue) in (0..).zip(queues) {
        for number in at * 100..at * 100 + 50 {
            space.client.enqueue(Number(number)).queue(queue).await.unwrap();
            stored.insert(number);
        }
        let soon = Duration::from_millis(200);
        let later = space.client.enqueue(Number(at * 100 + 99)).queue(queue).after(soon);
        later.await.unwrap();
        stored.insert(at * 100 + 99);
    }
    let prepared = (0..).zip(queues).map(|(at, queue)| {
        stored.insert(at * 100 + 98);
        space.client.enqueue(Number(at * 100 + 98)).queue(queue).prepare()
    });
    let results = space.client.enqueue_prepared(prepared.collect()).await;
    assert!(results.iter().all(Result::is_ok), "one call, many slots: {results:?}");
    all_of(&stored, &mut told).await;

    // The Redis slot of `q` moves from server to server while jobs are enqueued and run.
    let slot: u16 = cluster.nodes()[0]
        .command(&["CLUSTER", "KEYSLOT", &space.key("q", "due")])
        .unwrap()
        .parse()
        .unwrap();
    let nodes = cluster.nodes();
    let owner = |nodes: &[Server]| {
        let has = |node: &Server| node.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
        nodes.iter().position(|node| has(node).is_ok_and(|count| count != "0")).unwrap()
    };
    let mut stored = BTreeSet::new();
    for round in 0..4 {
        let base = 10_000 + round * 1_000;
        let producer = {
            let client = space.client.clone();
            tokio::spawn(async move {
                for number in base..base + 100 {
                    surely(&client, number).await;
                }
            })
        };
        stored.extend(base..base + 100);
        let from = owner(nodes);
        cluster.move_slot(slot, &nodes[from], &nodes[(from + 1) % 3]).unwrap();
        within(producer).await.unwrap();
    }
    all_of(&stored, &mut told).await;
    node.stop().await;
}

#[tokio::test]
async fn a_failover_is_followed_and_what_was_replicated_is_not_lost() {
    let servers = Sentinel::start(1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(servers.url(), "sentinel");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut stored = BTreeSet::new();
    for round in 0..2 {
        for number in round * 100..round * 100 + 100 {
            surely(&space.client, number).await;
            stored.insert(number);
            if number % 100 == 50 {
                // Earlier jobs are on the replica, as if their enqueues had waited for it.
                servers.servers()[round as usize].command(&["WAIT", "1", "5000"]).unwrap();
                servers.fail_over().unwrap();
            }
        }
    }
    all_of(&stored, &mut told).await;
    node.stop().await;
}

#[tokio::test]
async fn a_cluster_is_operated_like_any_server() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "operated");
    let client = &space.client;
    let worker = worker_fn(|job: Number, cx: Context| async move {
        match job.0 {
            1 => {
                cx.cancelled().await;
                Err("I was told to stop".into())
            }
            2 => Err("no luck".into()),
            n => Ok::<_, BoxError>(Outcome::result(&(n * 2))?),
        }
    });
    let mut node = space.node();
    let queues = ["q", "a", "b", "c"];
    for queue in queues {
        node = node.pool(Pool::new(queue).size(2).worker(worker.clone()));
    }
    let node = start(node);
    let once = Policy::default().attempts(1);
    for queue in queues {
        let inspector = client.inspect(queue);
        let doubled: u64 =
            within(client.call(Number(21)).queue(queue).into_future()).await.unwrap();
        assert_eq!(doubled, 42);
        let dead = client.call::<_, ()>(Number(2)).queue(queue).policy(once.clone());
        assert!(within(dead.into_future()).await.unwrap_err().is_dead());
        let held = client.enqueue(Number(1)).queue(queue).await.unwrap();
        eventually("it runs", || async {
            client.job(&held).view().await.unwrap().is_some_and(|job| job.node.is_some())
        })
        .await;
        client.job(held.job.in_queue(queue)).cancel().await.unwrap();
        space.until_count(queue, "cancelled", 1).await;
        assert_eq!(inspector.dead(None, 10).await.unwrap().jobs.len(), 1);
        assert_eq!(inspector.revive_where(|_| true).await.unwrap(), 1);
        space.until_count(queue, "buried", 2).await;
        assert!(client.pause(queue).await.unwrap() && client.resume(queue).await.unwrap());
    }
    let mut used: Vec<String> =
        client.queues().await.unwrap().iter().map(ToString::to_string).collect();
    used.sort_unstable();
    assert_eq!(used, ["a", "b", "c", "q"]);
    assert_eq!(client.nodes().await.unwrap().len(), 1);
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_slots_of_an_addressed_pool_live_all_over_a_cluster() {
    let cluster = Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "cluster-slots");
    let (worker, mut told) = teller();
    let pool = Pool::new("q").size(12).mode(Mode::RoundRobin).worker(worker.clone());
    let all = Pool::new("all").size(2).mode(Mode::Broadcast).worker(worker);
    let node = start(space.node().pool(pool).pool(all));
    let pool = space.client.pool::<Number>("q");
    eventually("registered", || async { pool.size().await.is_ok() }).await;
    for number in 0..36 {
        let receipt = pool.cast(Number(number)).await.unwrap();
        let (got, cx) = within(told.recv()).await.unwrap();
        assert_eq!((got, cx.slot()), (number, receipt.partition.index));
    }
    let soon = Duration::from_millis(50);
    for number in 100..112 {
        pool.cast(Number(number)).after(soon).await.unwrap();
    }
    let later: BTreeSet<u64> = (100..112).collect();
    all_of(&later, &mut told).await;
    pool.resize(3).await.unwrap();
    let receipt = pool.cast(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.slot(), receipt.partition.index);
    assert!(receipt.partition.index < 3);
    let all = space.client.pool::<Number>("all");
    cast_until_received(&told, async || drop(all.cast(Number(7)).await.unwrap())).await;
    assert_eq!(within(told.recv()).await.unwrap().0, 7);
    node.stop().await;
}

#[tokio::test]
async fn enqueues_follow_a_slot_that_is_on_the_move() {
    let cluster = Cluster::start(3, 1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "durable");
    let key = space.key("q", "due");
    let slot = cluster.slot_of(&key).unwrap();
    let from = cluster.owner(slot).unwrap();
    let to = cluster.nodes()[..3].iter().find(|node| node.port() != from.port()).unwrap();
    let durable = |number: u64| {
        let enqueue =
            space.client.enqueue(Number(number)).durability(poolder::Durability::replicated(1));
        if number.is_multiple_of(2) {
            enqueue.id(number.to_string()).after(Duration::from_secs(60))
        } else {
            enqueue
        }
    };
    let once = || {
        let hour = Duration::from_secs(3600);
        space.client.enqueue(Number(7)).id("7").after(hour).idempotent(hour)
    };
    durable(1).await.unwrap();
    durable(2).await.unwrap();
    let named = once().await.unwrap().job;
    // A script with several keys follows ASK only if the target has all of them.
    let tag = key.rsplit_once(':').unwrap().0;
    for record in ["result", "progress"] {
        from.command(&["SET", &format!("{tag}:{record}:{named}"), "old"]).unwrap();
    }
    from.command(&["ZADD", &format!("{tag}:dead"), "1", "x"]).unwrap();
    from.command(&["HSET", &format!("{tag}:dead:bodies"), "x", "y"]).unwrap();
    // In the middle of the move: the source answers ASK for a key that it no longer has.
    let (slot, ours, theirs) = (
        slot.to_string(),
        from.command(&["CLUSTER", "MYID"]).unwrap(),
        to.command(&["CLUSTER", "MYID"]).unwrap(),
    );
    to.command(&["CLUSTER", "SETSLOT", &slot, "IMPORTING", &ours]).unwrap();
    from.command(&["CLUSTER", "SETSLOT", &slot, "MIGRATING", &theirs]).unwrap();
    let port = to.port().unwrap().to_string();
    loop {
        let keys = from.command(&["CLUSTER", "GETKEYSINSLOT", &slot, "100"]).unwrap();
        if keys.trim().is_empty() {
            break;
        }
        for key in keys.lines() {
            from.command(&["MIGRATE", "127.0.0.1", &port, key, "0", "5000"]).unwrap();
        }
    }
    // A server that does not know the script refuses it with NOSCRIPT. The client must load it and
    // ask again with ASKING; a plain repetition would be answered with MOVED.
    to.command(&["SCRIPT", "FLUSH"]).unwrap();
    once().await.unwrap();
    let errors = to.command(&["INFO", "errorstats"]).unwrap();
    assert!(errors.contains("errorstat_NOSCRIPT") && !errors.contains("MOVED"), "{errors}");
    // A script with several keys, one of them missing, must wait for the end of the move. A script
    // with one key need not.
    durable(3).await.unwrap();
    space.client.enqueue(Number(4)).queue("q").await.unwrap();
    for node in [to, from] {
        node.command(&["CLUSTER", "SETSLOT", &slot, "NODE", &theirs]).unwrap();
    }
    durable(5).await.unwrap();
    durable(6).await.unwrap();
    let due = to.command(&["ZCARD", &key]).unwrap();
    assert_eq!(due.trim(), "3");
}

/// A node that takes such an error for an outage would wait for ten seconds before it declares
/// another node dead.
#[tokio::test(flavor = "multi_thread")]
async fn a_beat_tells_a_slot_that_moved_from_a_server_that_is_away() {
    let cluster = Cluster::start(3, 1).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "beat-moved");
    let slot = cluster.slot_of(&format!("{}:{{roster}}:", space.name())).unwrap();
    let from = cluster.owner(slot).unwrap();
    let primary = |node: &&Server| {
        let about = node.command(&["INFO", "replication"]).unwrap();
        node.port() != from.port() && about.contains("role:master")
    };
    let to = cluster.nodes().iter().find(primary).unwrap();
    tokio::task::block_in_place(|| {
        let mut beater = Beater::new(space.client.broker());
        assert!(
            beater.beat("me", std::time::Duration::ZERO).unwrap().added && !beater.was_redirected()
        );
        cluster.reshard(slot, from, to).unwrap();
        assert!(beater.beat("me", std::time::Duration::ZERO).is_err() && beater.was_redirected());
        let again = beater.beat("me", std::time::Duration::ZERO).unwrap();
        assert!(!again.added && !beater.was_redirected());
        to.kill().unwrap();
        assert!(beater.beat("me", std::time::Duration::ZERO).is_err() && !beater.was_redirected());
    });
}
