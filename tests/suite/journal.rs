//! The journal: what happens to nodes and partitions leaves an entry.

use std::sync::Arc;

use poolder::prelude::*;
use poolder::{JournalEvent, JournalFilter, JournalRecord};
use tokio::sync::Semaphore;

use crate::harness::{Number, Space, eventually, start, teller, within};
use crate::policies::suspect_of_a_dead_node;

/// Returns the records that satisfy a filter, the latest first.
async fn records(space: &Space, filter: &JournalFilter) -> Vec<JournalRecord> {
    let page = space.client.journal(filter, None, 500).await.unwrap();
    page.entries.into_iter().map(|entry| entry.record).collect()
}

async fn of(space: &Space, event: JournalEvent) -> Vec<JournalRecord> {
    records(space, &JournalFilter::default().event(event)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_life_of_a_node_is_in_the_journal_and_no_job_is() {
    let space = Space::new("journal");
    let (worker, mut told) = teller();
    let pool = Pool::new("q").size(2).worker(worker);
    let node = start(space.node().deploy("v7").pool(pool));
    for number in 0..20 {
        space.client.enqueue(Number(number)).await.unwrap();
        within(told.recv()).await.unwrap();
    }
    let expected = [JournalEvent::NodeCame, JournalEvent::Leader, JournalEvent::Deploy];
    eventually("it came, leads, and is the first of its deploy", || async {
        let mut all = true;
        for event in expected {
            all &= of(&space, event).await.len() == 1;
        }
        all
    })
    .await;
    let came = of(&space, JournalEvent::NodeCame).await.remove(0);
    let leads = of(&space, JournalEvent::Leader).await.remove(0);
    assert_eq!((&leads.node, &leads.by, &*leads.partition), (&came.node, &came.node, "q.0"));
    assert_eq!(of(&space, JournalEvent::Deploy).await[0].detail, "v7");
    node.stop().await;
    let all = records(&space, &JournalFilter::default()).await;
    assert_eq!((all[0].event, &all[0].node, all.len()), (JournalEvent::NodeLeft, &came.node, 4));

    let first = space.client.journal(&JournalFilter::default(), None, 3).await.unwrap();
    let rest = space.client.journal(&JournalFilter::default(), first.next, 3).await.unwrap();
    assert_eq!((first.entries.len(), rest.entries.len(), rest.next), (3, 1, None));
    let latest = first.entries[0].clone();
    assert!(records(&space, &JournalFilter::default().after(latest.id)).await.is_empty());
    assert_eq!(records(&space, &JournalFilter::default().about("q.0")).await, [leads]);
    assert!(records(&space, &JournalFilter::default().since(latest.at)).await.len() < 4 + 1);
    let json = serde_json::to_value(&latest).unwrap();
    assert_eq!((&json["event"], &json["node"]), (&"node_left".into(), &came.node.into()));
    assert!(json.get("job").is_none() && json["at"] == latest.at.millis());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_and_a_burial_for_crashes_are_in_the_journal() {
    let space = Space::new("journal-crash");
    suspect_of_a_dead_node(&space, None).await;
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let buried = JournalFilter::default().event(JournalEvent::CrashBuried);
    eventually("it is buried", || async { records(&space, &buried).await.len() == 1 }).await;
    let record = records(&space, &buried).await.remove(0);
    assert_eq!((&*record.partition, record.job.len()), ("q.0", 36));
    assert!(!record.detail.is_empty(), "the failure says why");
    eventually("it is rescued", || async {
        of(&space, JournalEvent::Rescued)
            .await
            .iter()
            .any(|it| it.count == 1 && !it.node.is_empty())
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_settlement_that_changes_nothing_is_in_the_journal() {
    let space = Space::new("journal-fenced");
    let (started, go) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let worker = {
        let (started, go) = (Arc::clone(&started), Arc::clone(&go));
        worker_fn(move |_: Number, _: Context| {
            let (started, go) = (Arc::clone(&started), Arc::clone(&go));
            async move {
                started.add_permits(1);
                go.acquire().await.map(|_| Done).map_err(BoxError::from)
            }
        })
    };
    let job = space.client.enqueue(Number(1)).await.unwrap().job;
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    within(started.acquire()).await.unwrap().forget();
    // Another program takes the entry away.
    let lane = space.key("q", "ready:normal");
    let take = "local id = redis.call('XRANGE', KEYS[1], '-', '+')[1][1] \
                redis.call('XACK', KEYS[1], 'workers', id) return redis.call('XDEL', KEYS[1], id)";
    let taken: u64 = space.redis(redis::cmd("EVAL").arg(take).arg(1).arg(lane)).await;
    assert_eq!(taken, 1);
    go.add_permits(1);
    eventually("the refusal is recorded", || async {
        let refused = of(&space, JournalEvent::SettlementRefused).await;
        refused.iter().any(|it| it.job == job.to_string() && it.partition == "q.0")
    })
    .await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_keeps_no_history_writes_no_journal() {
    let space = Space::new("journal-off");
    let (worker, mut told) = teller();
    let node = space.node().keep_history(false).pool(Pool::new("q").size(1).worker(worker));
    let node = start(node);
    space.client.enqueue(Number(1)).await.unwrap();
    within(told.recv()).await.unwrap();
    node.stop().await;
    assert!(records(&space, &JournalFilter::default()).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_of_queues_and_pools_are_in_the_journal_with_their_actor() {
    use JournalEvent::{PoolResized, PoolStarted, PoolStopped, QueuePaused, QueueResumed};
    let space = Space::new("journal-changes");
    let worker = || worker_fn(async |_: Number, _: Context| Done);
    let keyed = Pool::new("keyed").mode(Mode::Phash).size(2).worker(worker());
    let handle = {
        let mut builder = space.node().pool(keyed).pool(Pool::new("q").size(1).worker(worker()));
        (builder.handle(), start(builder))
    };
    let ann = space.client.acting_as("ann");
    eventually("the pool is registered", || async {
        ann.pool::<Number>("keyed").size().await.is_ok()
    })
    .await;
    assert!(ann.pause("q").await.unwrap() && !ann.pause("q").await.unwrap());
    assert!(ann.resume("q").await.unwrap());
    ann.pool::<Number>("keyed").resize(3).await.unwrap();
    ann.pool::<Number>("keyed").stop().await.unwrap();
    ann.pool::<Number>("keyed").start().await.unwrap();
    handle.0.resize("q", 4).await.unwrap();
    handle.0.resize("q", 4).await.unwrap();
    for (event, queue) in
        [(QueuePaused, "q"), (QueueResumed, "q"), (PoolStopped, "keyed"), (PoolStarted, "keyed")]
    {
        let found = of(&space, event).await;
        assert_eq!((found.len(), &*found[0].partition, &*found[0].by), (1, queue, "ann"));
    }
    eventually("the node tells of its own pool", || async {
        of(&space, PoolResized).await.len() == 2
    })
    .await;
    let resized = of(&space, PoolResized).await;
    let told: Vec<(&str, &str)> = resized.iter().map(|it| (&*it.partition, &*it.detail)).collect();
    assert_eq!(told, [("q", "to 4 slots on this node"), ("keyed", "to 3 slots")]);
    assert_eq!((&resized[0].node, &*resized[1].by), (&resized[0].by, "ann"));
    handle.1.stop().await;
}

#[tokio::test]
async fn schedules_that_code_no_longer_declares_are_in_the_journal() {
    let space = Space::new("journal-undeclared");
    let client = &space.client;
    let declaration =
        |name: &str| client.schedule(name, "1h", Number(1)).queue("q").prepare().unwrap();
    let both = [declaration("a"), declaration("b")];
    client.declare_schedules("code", "v1", &both).await.unwrap();
    assert_eq!(of(&space, JournalEvent::ScheduleUndeclared).await, []);
    client.declare_schedules("code", "v2", &both[..1]).await.unwrap();
    client.declare_schedules("code", "v2", &both[..1]).await.unwrap();
    let told = of(&space, JournalEvent::ScheduleUndeclared).await;
    assert_eq!((told.len(), told[0].count, &*told[0].detail), (1, 1, "by deploy v2 of code"));
}
