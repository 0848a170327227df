//! Which policy holds for a job: its own, that of the pool which runs it, or the default one.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use poolder::prelude::*;
use poolder::testing::TestQueue;
use poolder::{Envelope, Format, JobId, payload};

use crate::harness::{Number, Space, start, teller, within};

/// A job that the node "ghost" holds and that has crashed twice before; the node is then declared
/// dead.
pub(crate) async fn suspect_of_a_dead_node(space: &Space, policy: Option<&Policy>) {
    let write = |out: &mut Vec<u8>| payload::encode(&Number(7), out);
    let (id, format) = (JobId::generate(), Format::MessagePack);
    let envelope = Envelope::build(id, "number", 1, policy, format, write).unwrap();
    // Counters: 0 failures, 2 crashes, 2 deliveries.
    let counters: &[u8] = b"\x93\x00\x02\x02";
    let mut add = redis::cmd("XADD");
    add.arg(space.key("q", "ready:suspect")).arg("*");
    add.arg("j").arg(envelope.as_bytes()).arg("c").arg(counters);
    space.redis::<String>(&mut add).await;
    let mut ghost = space.connection("q", "ghost").await;
    let claimed = ghost.exchange(&[], Some((Lane::Suspect, 1)), false).await.unwrap();
    let claimed = claimed.claimed.unwrap().jobs;
    assert_eq!(claimed.len(), 1);
    // The node began to run it.
    let mut begun = redis::cmd("HSET");
    begun.arg(space.key("q", "lease")).arg("begun:ghost").arg(&*claimed[0].entry);
    space.redis::<u64>(&mut begun).await;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut mark = redis::cmd("ZADD");
    mark.arg(format!("{}:{{roster}}:marks", space.name()));
    mark.arg(u64::try_from(now).unwrap()).arg("ghost");
    space.redis::<u64>(&mut mark).await;
}

#[tokio::test]
async fn the_policy_of_a_pool_holds_when_a_node_dies() {
    let patient = Policy::default().crashes(5);
    for (pool, own, dies) in [
        (None, None, true),
        (Some(patient.clone()), None, false),
        (Some(patient), Some(Policy::default()), true),
    ] {
        let space = Space::new("crash-policy");
        suspect_of_a_dead_node(&space, own.as_ref()).await;
        let (worker, mut told) = teller();
        let base = Pool::new("q").size(1).worker(worker);
        let node = start(space.node().pool(match pool {
            Some(policy) => base.policy(policy),
            None => base,
        }));
        if dies {
            space.until_count("q", "buried", 1).await;
            assert!(told.try_recv().is_err());
        } else {
            let (number, cx) = within(told.recv()).await.unwrap();
            assert_eq!((number, cx.attempt()), (7, 1));
            space.until_count("q", "completed", 1).await;
        }
        node.stop().await;
    }
}

#[tokio::test]
async fn a_job_can_ask_for_the_default_policy_in_a_pool_that_has_another() {
    let queue = TestQueue::new();
    let worker = worker_fn(|_: Number, _: Context| async { Err::<Outcome, BoxError>("no".into()) });
    let strict = Policy::default().attempts(1).backoff(Backoff::Fixed(Duration::from_secs(60)));
    let pool = Pool::new("q").policy(strict).worker(worker);
    let node = queue.start_node(queue.node().pool(pool)).await;
    assert!(node.perform(Number(1)).await.is_dead());
    let usual = Policy::default();
    let run = node.perform(Number(2)).policy(usual.clone()).await;
    let delay = usual.backoff.delay(1, 0.0);
    assert!(run.is_retried_after(delay..=delay), "{run:?}");
    let run = node.perform(Number(2)).policy(usual.clone()).attempt(usual.attempts).await;
    assert!(run.is_dead());
}
