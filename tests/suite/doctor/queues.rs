//! Faults of queues, nodes and slots, each planted in a namespace of its own.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{QueueLimits, QueueName, Repair, Severity, Timestamp};
use poolder_core::Partition;
use poolder_core::broker::{DeadLimits, Precedence, Settlement};
use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{Claim, Facts};
use redis::cmd;

use super::{codes, findings};
use crate::harness::{Number, Space};

const KINDS: &str = r#","kinds":[{"queue":"q","name":"number","version":1}]"#;

/// A namespace with a node that serves and leads the queue `q`, and knows the kind of its jobs.
async fn served(test: &str) -> Space {
    let space = Space::new(test);
    space.enter("n1", 0, 4, KINDS).await;
    lead(&space, "1 n1").await;
    space
}

async fn lead(space: &Space, lease: &str) {
    let mut set = cmd("SET");
    space.redis::<()>(set.arg(space.key("q", "leader")).arg(lease).arg("PX").arg(60_000)).await;
}

async fn enqueue(space: &Space, number: u64) -> poolder::Receipt {
    space.client.enqueue(Number(number)).await.unwrap()
}

async fn claim(space: &Space, node: &str, lane: Lane) -> Claim {
    let mut connection = space.connection("q", node).await;
    let claimed = connection.exchange(&[], Some((lane, 1)), false).await.unwrap();
    claimed.claimed.unwrap().jobs.pop().unwrap()
}

async fn set(space: &Space, name: &str, key: &str, words: &[&str]) {
    space.redis::<redis::Value>(cmd(name).arg(space.key("q", key)).arg(words)).await;
}

fn first() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

#[tokio::test]
async fn a_queue_that_no_node_serves_leads_or_knows_is_found() {
    let space = Space::new("d-served");
    enqueue(&space, 1).await;
    assert_eq!(codes(&space).await, ["not_served"]);
    space.enter("n1", 60_000, 4, KINDS).await;
    assert_eq!(codes(&space).await, ["not_served", "silent_node"]);
    space.enter("n1", 0, 4, KINDS).await;
    assert_eq!(codes(&space).await, ["no_leader", "no_group"]);
    lead(&space, "1 n1").await;
    let found = findings(&space).await.remove(0);
    assert_eq!(
        (found.code, &found.repair),
        ("no_group", &Some(Repair::CreateGroup(first(), Lane::Normal)))
    );
    let done = space.client.repair(&found).await.unwrap();
    assert!(done.ends_with("was created"), "{done}");
    let again = space.client.repair(&found).await.unwrap();
    assert!(again.ends_with("was there already"), "{again}");
    let audit = space.client.audit(&poolder::AuditFilter::default(), None, 1).await.unwrap();
    assert_eq!(audit.entries[0].record.action, "doctor.repair");
    assert_eq!(codes(&space).await, [""; 0]);

    space.enter("n1", 0, 4, &KINDS.replace("number", "other")).await;
    let found = findings(&space).await;
    assert_eq!((found.len(), found[0].code), (1, "unknown_kind"));
    assert_eq!(found[0].what, "1 waiting job needs number v1: no node of the queue has it");
    let refused = space.client.repair(&found[0]).await.unwrap_err();
    assert!(refused.is_invalid() && refused.to_string().contains("deploy the worker"));
    let attention = space.client.status().await.unwrap().attention;
    assert!(attention.iter().any(|found| found.code == "unknown_kind"));
}

#[tokio::test]
async fn jobs_ticks_and_timers_that_are_overdue_are_found() {
    let space = served("d-overdue").await;
    let job = space.client.enqueue(Number(1)).after(Duration::from_secs(60)).await.unwrap();
    assert_eq!(codes(&space).await, [""; 0]);
    let mut change = cmd("ZADD");
    change.arg(space.key("q", "due")).arg(1_000).arg(job.job.as_bytes().as_slice());
    space.redis::<u64>(&mut change).await;
    assert_eq!(codes(&space).await, ["overdue"]);
    space.client.pause("q").await.unwrap();
    assert_eq!(codes(&space).await, [""; 0], "a paused queue promotes nothing");

    let space = served("d-late").await;
    enqueue(&space, 1).await;
    claim(&space, "n1", Lane::Normal).await;
    set(&space, "ZADD", "schedules:next", &["1000", "nightly"]).await;
    assert_eq!(codes(&space).await, ["late_schedules"]);
}

/// Limits the queue, and pauses a group.
async fn served_group(space: &Space) -> poolder::LimitsHandle {
    let about = format!(r#"{KINDS},"limits":true"#);
    space.enter("n1", 0, 4, &about).await;
    let limits = space.client.limits("q");
    limits.set(QueueLimits::new()).await.unwrap();
    limits.pause_group("acme").await.unwrap();
    limits
}

#[tokio::test]
async fn a_forgotten_pause_old_cancellations_and_mixed_deploys_are_found() {
    let space = served("d-old").await;
    enqueue(&space, 1).await;
    claim(&space, "n1", Lane::Normal).await;
    set(&space, "HSET", "meta", &["paused", "1000"]).await;
    assert_eq!(codes(&space).await, ["long_pause"]);
    space.client.resume("q").await.unwrap();
    let groups = served_group(&space).await;
    assert_eq!(codes(&space).await, [""; 0], "a pause that has just begun");
    set(&space, "HSET", "limits:own", &["acme", "p1000 - 5", "", "p2000 ", "other", "- 5"]).await;
    let found = findings(&space).await.remove(0);
    assert_eq!((found.code, found.severity), ("long_group_pause", Severity::Warning));
    assert!(found.what.starts_with("group acme, as the first of 2 groups, was paused"), "{found}");
    groups.end().await.unwrap();
    space.client.broker().go_on_ending_limits(&first()).await.unwrap();
    set(&space, "ZADD", "cancelled", &["1000", "0123456789abcdef"]).await;
    let found = findings(&space).await.remove(0);
    assert_eq!((found.code, found.severity), ("old_cancels", Severity::Note));
    assert!(space.client.repair(&found).await.unwrap().starts_with("1 old cancellation"));
    assert_eq!(codes(&space).await, [""; 0]);

    space.enter("n1", 0, 4, &format!(r#"{KINDS},"deploy":"v1""#)).await;
    space.enter("n2", 0, 4, &format!(r#"{KINDS},"deploy":"v1""#)).await;
    assert_eq!(codes(&space).await, [""; 0]);
    space.enter("n2", 0, 4, &format!(r#"{KINDS},"deploy":"v2""#)).await;
    let found = findings(&space).await.remove(0);
    assert_eq!(found.code, "mixed_deploys");
    assert!(found.what.contains("v1: 1 node, v2: 1 node"), "{found}");
}

#[tokio::test]
async fn keys_of_a_wrong_type_and_counters_that_are_no_numbers_are_found() {
    for key in ["due", "dead", "stats", "meta", "ready:high", "leader", "lease"] {
        let space = served("d-type").await;
        enqueue(&space, 1).await;
        claim(&space, "n1", Lane::Normal).await;
        space.redis::<u64>(cmd("DEL").arg(space.key("q", key))).await;
        set(&space, "SADD", key, &["x"]).await;
        let found = findings(&space).await;
        assert_eq!(found[0].code, "wrong_type", "{key}: {found:?}");
        assert!(found[0].what.contains("of the type set"), "{}", found[0]);
    }
    let space = served("d-counter").await;
    enqueue(&space, 1).await;
    claim(&space, "n1", Lane::Normal).await;
    set(&space, "HSET", "stats", &["completed", "many"]).await;
    assert_eq!(codes(&space).await, ["bad_counter"]);
}

#[tokio::test]
async fn consumers_of_nodes_that_do_not_live_are_found_with_and_without_jobs() {
    let space = served("d-consumer").await;
    enqueue(&space, 1).await;
    claim(&space, "ghost", Lane::Normal).await;
    space.mark("ghost").await;
    let found = findings(&space).await;
    assert_eq!(found[0].code, "dead_consumer");
    assert!(found[0].what.contains("ghost, which is no living node, holds 1 job"), "{}", found[0]);

    let space = served("d-stale").await;
    let mut connection = space.connection("q", "ghost").await;
    connection.exchange(&[], Some((Lane::Normal, 1)), false).await.unwrap();
    space.client.broker().register_queue(&first()).await.unwrap();
    let mut create = cmd("XGROUP");
    create.arg("CREATECONSUMER").arg(space.key("q", "ready:normal")).arg("workers").arg("ghost");
    space.redis::<u64>(&mut create).await;
    let found = findings(&space).await;
    assert_eq!((found.len(), found[0].code), (1, "stale_consumer"), "{found:?}");
    let done = space.client.repair(&found[0]).await.unwrap();
    assert!(done.ends_with("was forgotten"), "{done}");
    assert_eq!(codes(&space).await, [""; 0]);
}

#[tokio::test]
async fn suspects_and_a_slot_of_a_dead_holder_are_found() {
    let space = served("d-suspect").await;
    enqueue(&space, 1).await;
    for lane in [Lane::Normal, Lane::Front] {
        let claim = claim(&space, "n1", lane).await;
        let ending = Ending::Crashed("n1".into());
        let facts = Facts::at(Timestamp::now());
        let transition = decide(&Policy::default(), &claim.counters, ending, facts);
        let settled = [Settlement::new(claim, "n1".into(), None, transition)];
        space.client.broker().settle(&first(), DeadLimits::default(), &settled).await;
    }
    assert_eq!(codes(&space).await, ["suspects"]);

    let space = served("d-holder").await;
    space.client.broker().define_pool(&first().queue, Mode::Phash, 2).await.unwrap();
    space.client.broker().register_queue(&first()).await.unwrap();
    set(&space, "HSET", "lease", &["holder", "n1", "term", "1", "until", "9999999999999"]).await;
    assert_eq!(codes(&space).await, [""; 0]);
    set(&space, "HSET", "lease", &["holder", "ghost"]).await;
    let found = findings(&space).await;
    assert_eq!((found.len(), found[0].code), (1, "holder_gone"));
    assert_eq!(found[0].subject, "slot 0 of pool q");
}

#[tokio::test]
async fn a_node_that_knows_no_limits_is_found_where_it_serves_a_limited_queue() {
    let space = served("d-limits").await;
    enqueue(&space, 1).await;
    set_group(&space).await;
    assert_eq!(codes(&space).await, [""; 0]);
    let (limits, given) = (QueueLimits::new(), Precedence::Given);
    space.client.broker().define_limits(&first(), limits, given).await.unwrap();
    let found = findings(&space).await;
    let codes = [found.len() == 1, found[0].code == "knows_no_limits"];
    assert!(codes == [true; 2] && found[0].subject == "node n1", "{found:?}");
    space.enter("n1", 0, 4, &format!("{KINDS},\"limits\":true")).await;
    assert_eq!(self::codes(&space).await, [""; 0]);
}

#[tokio::test]
async fn jobs_that_are_too_large_too_long_or_too_dead_are_found() {
    let space = served("d-large").await;
    let large = space.client.enqueue(Large("x".repeat(300 << 10))).await.unwrap();
    space.enter("n1", 0, 4, &KINDS.replace("number", "large")).await;
    set_group(&space).await;
    let found = findings(&space).await;
    assert_eq!((found.len(), found[0].code), (1, "large_payload"), "{found:?}");
    assert!(found[0].what.contains(&large.job.to_string()));

    let space = served("d-long").await;
    let policy = Policy::default().timeout(Duration::from_secs(10));
    space.client.enqueue(Number(1)).policy(policy).await.unwrap();
    let entry = claim(&space, "n1", Lane::Normal).await.entry;
    assert_eq!(codes(&space).await, [""; 0]);
    let mut age = cmd("XCLAIM");
    age.arg(space.key("q", "ready:normal")).arg("workers").arg("n1").arg(0).arg(&*entry);
    space.redis::<redis::Value>(age.arg("IDLE").arg(7_200_000)).await;
    assert_eq!(codes(&space).await, ["over_timeout"]);

    let space = served("d-pinned").await;
    let lane = space.key("q", "ready:normal");
    for entry in ["1000-0", "99999000-0"] {
        let mut add = cmd("XADD");
        space.redis::<String>(add.arg(&lane).arg(entry).arg("user").arg("7")).await;
        let mut connection = space.connection("q", "n1").await;
        connection.exchange(&[], Some((Lane::Normal, 1)), false).await.unwrap();
    }
    space.client.broker().register_queue(&first()).await.unwrap();
    let mut age = cmd("XCLAIM");
    age.arg(&lane).arg("workers").arg("n1").arg(0).arg("1000-0").arg("IDLE").arg(7_200_000);
    space.redis::<redis::Value>(&mut age).await;
    assert_eq!(codes(&space).await, ["pinned"]);

    let space = served("d-dead").await;
    enqueue(&space, 1).await;
    claim(&space, "n1", Lane::Normal).await;
    let fill = "for i = 1, 9000 do redis.call('ZADD', KEYS[1], i, i) end";
    let mut eval = cmd("EVAL");
    space.redis::<()>(eval.arg(fill).arg(1).arg(space.key("q", "dead"))).await;
    assert_eq!(codes(&space).await, ["dead_full"]);
}

/// A job with a large payload.
#[derive(serde::Serialize, serde::Deserialize, Debug, Job)]
#[job(kind = "large", queue = "q")]
struct Large(String);

async fn set_group(space: &Space) {
    let mut create = cmd("XGROUP");
    create.arg("CREATE").arg(space.key("q", "ready:normal")).arg("workers").arg("0");
    space.redis::<()>(&mut create).await;
}
