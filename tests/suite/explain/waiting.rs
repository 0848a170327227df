//! Jobs of shared queues that wait: for their time, for a leader, a node, a worker, a slot.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Handle, Place, Receipt, Result, Timestamp, Why};
use poolder_core::broker::{DeadLimits, Settlement};
use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{Facts, Partition};
use redis::cmd;

use super::{assert_why, consistent, explain};
use crate::harness::{Number, Space, eventually, start};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

async fn enqueue(space: &Space, number: u64) -> Receipt {
    space.client.enqueue(Number(number)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_waits_for_its_time_its_next_attempt_or_the_end_of_a_snooze() {
    let space = Space::new("explain-due");
    let due = space.client.enqueue(Number(1)).after(DAY).await.unwrap();
    let found = explain(&space, &due).await;
    assert_why(&found, Why::Scheduled, "it is due in ");
    let Some(Place::Due(at)) = Handle::from(&due).place else { panic!("{due:?}") };
    assert_eq!((found.until, found.is_stuck()), (Some(at), false));

    let worker = worker_fn(|job: Number, _: Context| async move {
        match job.0 {
            1 => Err::<Outcome, BoxError>("the mailbox is full".into()),
            _ => Ok(Snooze(DAY)),
        }
    });
    let policy = Policy::default().attempts(4).backoff(Backoff::Fixed(DAY));
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    let failing = space.client.enqueue(Number(1)).policy(policy).await.unwrap();
    let snoozing = enqueue(&space, 2).await;
    eventually("both wait again", || async { space.due("q").await == 3 }).await;
    let found = explain(&space, &failing).await;
    assert_why(&found, Why::Retrying, "attempt 2 of 4, after: error: the mailbox is full");
    assert_why(&explain(&space, &snoozing).await, Why::Snoozed, "its handler snoozed it");
    node.stop().await;

    // The verdict stays, and what else is in the way is shown.
    space.client.pause("q").await.unwrap();
    let found = explain(&space, &due).await;
    assert_why(&found, Why::Scheduled, "it is due in ");
    let wrong = |name| found.checks.iter().any(|check| check.name == name && !check.ok);
    assert!(wrong("paused") && wrong("served"), "{found}");
}

#[tokio::test]
async fn an_overdue_job_names_the_missing_or_the_failing_leader() {
    let space = Space::new("explain-overdue");
    let job = space.client.enqueue(Number(1)).after(DAY).await.unwrap();
    let past = Timestamp::now().millis() - 60_000;
    let mut change = cmd("ZADD");
    let member = job.job.as_bytes().as_slice();
    space.redis::<u64>(change.arg(space.key("q", "due")).arg("XX").arg(past).arg(member)).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Overdue, "no node leads");
    assert!(found.is_stuck() && found.hint.is_some());

    let mut lead = cmd("SET");
    space
        .redis::<()>(lead.arg(space.key("q", "leader")).arg("3 ghost").arg("PX").arg(60_000))
        .await;
    assert_why(&explain(&space, &job).await, Why::Overdue, "node ghost, which leads, has not");
}

#[tokio::test]
async fn entries_of_a_batch_say_how_full_their_list_is_and_when_it_is_sealed() {
    let space = Space::new("explain-batch");
    let rows = space.client.batcher_on::<u64>("q", "rows");
    let options = poolder::BatchOptions::default().limit(10);
    rows.declare(options).await.unwrap();
    let explained = async |group: &str| {
        let found = space.client.explain_batch("q", "rows", group).await.unwrap();
        consistent(&found);
        found
    };
    assert_why(&explained("").await, Why::NotFound, "no entries gather");
    assert_eq!(rows.push_many([1, 2, 3]).await.stored, 3);
    let found = explained("").await;
    assert_why(&found, Why::Gathering, "3 of 10 entries gather");
    assert!(found.until.is_some() && found.job.is_none(), "{found}");

    let mut open = cmd("HGET");
    let key = space.key("q", "batch:open:rows");
    let meta: String = space.redis(open.arg(&key).arg("")).await;
    let mut parts: Vec<&str> = meta.split(' ').collect();
    parts[1] = "1000";
    space.redis::<u64>(cmd("HSET").arg(&key).arg("").arg(parts.join(" "))).await;
    let found = explained("").await;
    assert_why(&found, Why::Overdue, "no node leads the queue and seals it");

    let job = rows.flush().await.unwrap().unwrap();
    assert_why(&explained("").await, Why::NotFound, "no entries gather");
    let found = explain(&space, job.in_queue("q").unwrap()).await;
    assert_why(&found, Why::Unserved, "no node serves the queue");
    let batch = found.checks.iter().find(|check| check.name == "batch").unwrap();
    assert_eq!(batch.text, "its batch has 3 entries");
    let unknown = space.client.explain_batch("q", "other", "").await.unwrap_err();
    assert!(unknown.is_not_found(), "{unknown}");
}

#[tokio::test]
async fn a_paused_queue_and_one_without_nodes_are_named() {
    let space = Space::new("explain-paused");
    let job = enqueue(&space, 1).await;
    assert_why(&explain(&space, &job).await, Why::Unserved, "no node serves the queue");
    space.enter("old", 60_000, 4, "").await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Unserved, "old has been silent for 1 min");
    space.enter("old", 0, 4, "").await;
    assert_why(&explain(&space, &job).await, Why::Next, "nothing is in its way");

    space.client.pause("q").await.unwrap();
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Paused, "the queue was paused");
    assert!(found.is_stuck());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kind_or_version_that_no_node_of_the_queue_runs_is_named() {
    let space = Space::new("explain-kind");
    let knows = |kind: &str, version: u16| {
        format!(r#","kinds":[{{"queue":"q","name":"{kind}","version":{version}}}]"#)
    };
    let job = enqueue(&space, 1).await;
    space.enter("n1", 0, 4, &knows("other", 3)).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::UnknownKind, "no node of the queue has a worker for the kind number");
    assert!(found.is_stuck() && found.hint.is_some());
    space.enter("n1", 0, 4, &knows("number", 0)).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::UnknownKind, "the job needs number v1, the nodes know v0 at most");
    space.enter("n2", 0, 4, &knows("number", 2)).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::Next, "nothing is in its way");
    assert!(found.checks.iter().any(|check| check.text == "1 of 2 nodes can run number v1"));
    // A node of an older version does not say what it knows.
    space.enter("n2", 60_000, 4, "").await;
    space.enter("n3", 0, 4, "").await;
    assert_why(&explain(&space, &job).await, Why::Next, "nothing is in its way");

    // A real node.
    let real = Space::new("explain-kind-node");
    let worker = worker_fn(|_: Number, _: Context| async { Ok::<_, BoxError>(Done) });
    let node = start(real.node().pool(Pool::new("q").worker(worker)));
    eventually("it says its kinds", || async {
        let nodes = real.client.nodes().await.unwrap();
        nodes.iter().flat_map(|node| &node.info).any(|info| !info.kinds.is_empty())
    })
    .await;
    let unserved = real.client.enqueue(crate::harness::Unserved(1)).await.unwrap();
    eventually("a node puts it off", || async { real.due("q").await == 1 }).await;
    let found = explain(&real, &unserved).await;
    assert_why(&found, Why::Snoozed, "a node without a worker for it put it off");
    let kind = found.checks.iter().find(|check| check.name == "kind").unwrap();
    assert!(!kind.ok && kind.text.contains("worker for the kind unserved"), "{found}");
    node.stop().await;
}

#[tokio::test]
async fn jobs_before_it_are_counted_by_lane_and_place() {
    let space = Space::new("explain-place");
    space.enter("busy", 0, 4, "").await;
    let ahead = space.client.enqueue_many((0..30).map(Number)).await;
    assert!(ahead.iter().all(Result::is_ok));
    let job = enqueue(&space, 99).await;
    let found = explain(&space, &job).await;
    assert_why(&found, Why::BehindOthers, "30 jobs wait before it in lane normal");
    space.client.enqueue(Number(7)).lane(Lane::High).await.unwrap();
    let found = explain(&space, &job).await;
    assert_why(&found, Why::BehindOthers, "1 job waits in lanes that are served before");
    let place = found.checks.iter().find(|check| check.name == "place").unwrap();
    assert!(place.text.contains("30 jobs"), "{found}");
}

#[tokio::test]
async fn a_job_that_no_node_claims_although_slots_are_free_is_unclear() {
    let space = Space::new("explain-unclear");
    space.enter("idle", 0, 4, "").await;
    let job = enqueue(&space, 1).await;
    // The same entry, from long ago.
    let lane = space.key("q", "ready:normal");
    let entries: Vec<crate::harness::RawEntry> =
        space.redis(cmd("XRANGE").arg(&lane).arg("-").arg("+")).await;
    space.redis::<u64>(cmd("DEL").arg(&lane)).await;
    let mut add = cmd("XADD");
    add.arg(&lane).arg("1000-0").arg("j").arg(&entries[0].1[0].1);
    space.redis::<String>(&mut add).await;
    let handle = job.job.in_queue("q").unwrap();
    let handle = Handle { place: Some(Place::Entry(Lane::Normal, "1000-0".into())), ..handle };
    let found = explain(&space, handle.clone()).await;
    assert_why(&found, Why::Unclear, "has no consumer group");
    assert!(found.is_stuck());

    let mut create = cmd("XGROUP");
    space.redis::<()>(create.arg("CREATE").arg(&lane).arg("workers").arg("0")).await;
    assert_why(&explain(&space, handle).await, Why::Unclear, "no node has read lane normal");
}

#[tokio::test]
async fn a_suspect_waits_for_the_suspects_before_it() {
    let space = Space::new("explain-suspect");
    let partition = Partition::first(poolder::QueueName::new("q").unwrap());
    let mut jobs = vec![];
    for number in 0..2 {
        jobs.push(enqueue(&space, number).await);
        let mut connection = space.connection("q", "ghost").await;
        for lane in [Lane::Normal, Lane::Front] {
            let claims = connection.exchange(&[], Some((lane, 1)), false).await.unwrap();
            let claim = claims.claimed.unwrap().jobs.pop().unwrap();
            let ending = Ending::Crashed("ghost".into());
            let facts = Facts::at(Timestamp::now());
            let transition = decide(&Policy::default(), &claim.counters, ending, facts);
            let settled = [Settlement::new(claim, "ghost".into(), None, transition)];
            space.client.broker().settle(&partition, DeadLimits::default(), &settled).await;
        }
    }
    space.enter("alive", 0, 4, "").await;
    let handle = |at: usize| jobs[at].job.in_queue("q").unwrap();
    let found = explain(&space, handle(1)).await;
    assert_why(&found, Why::Suspect, "2 nodes died while it ran: it is a suspect");
    assert!(found.reason.contains("1 before it"), "{found}");
    let found = explain(&space, handle(0)).await;
    assert_why(&found, Why::Next, "nothing is in its way");
    // The first one runs: the only node has its suspect.
    let mut connection = space.connection("q", "alive").await;
    connection.exchange(&[], Some((Lane::Suspect, 1)), false).await.unwrap();
    let found = explain(&space, handle(1)).await;
    assert_why(&found, Why::Suspect, "1 suspect runs");
}
