//! A server that was emptied, or replaced by an older state of itself: a key and its job are of the
//! same moment, and what was claimed before changes nothing.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Partition, Receipt, Result, Stored};
use poolder_core::Claim;
use poolder_core::broker::{DeadLimits, Settled, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_devserver::Server;

use super::keys::{claim, queue, settle};
use crate::harness::{Number, Space, within};

const HOUR: Duration = Duration::from_secs(3600);

async fn send(
    space: &Space,
    key: &str,
    rule: Unique,
    number: u64,
) -> Result<Receipt, poolder::Error> {
    space.client.enqueue(Number(number)).unique(rule.by(&key)).await
}

/// Enqueues a job, again while a new connection is needed.
async fn surely(space: &Space, key: &str, rule: fn() -> Unique, number: u64) -> Receipt {
    let sending = async {
        loop {
            if let Ok(receipt) = send(space, key, rule(), number).await {
                return receipt;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(sending).await
}

/// Completes a job with a claim that the server has forgotten.
async fn settles_nothing(space: &Space, claim: Claim) {
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let done = Settlement::new(claim, "me".into(), None, Transition::Complete);
    let settled = broker.settle(&partition, DeadLimits::default(), &[done]).await;
    assert!(!matches!(settled[0], Settled::Applied), "{settled:?}");
}

#[tokio::test]
async fn a_server_of_an_older_state_has_keys_and_jobs_of_one_moment() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "unique-older");
    let stands = send(&space, "kept", Unique::until_done(), 1).await.unwrap();
    let last = send(&space, "last", Unique::keep_last(), 2).await.unwrap();
    let behind = send(&space, "last", Unique::keep_last(), 3).await.unwrap();
    assert_eq!(behind.stored, Stored::Behind);
    server.command(&["SAVE"]).unwrap();

    // What comes now is lost: an end, a job that took the key then, new data, and another key.
    settle(&space, &claim(&space).await, Transition::Complete).await;
    let second = send(&space, "kept", Unique::until_done(), 4).await.unwrap();
    assert!(!second.is_duplicate(), "the first has ended");
    assert!(matches!(
        send(&space, "last", Unique::keep_last(), 5).await.unwrap().stored,
        Stored::Replaced(None)
    ));
    let lost = send(&space, "lost", Unique::until_done(), 6).await.unwrap();
    let claims = [claim(&space).await, claim(&space).await, claim(&space).await];
    server.kill().unwrap();
    server.restart().unwrap();

    let again = surely(&space, "kept", Unique::until_done, 7).await;
    assert_eq!((again.is_duplicate(), again.job), (true, stands.job), "its end was lost");
    let other = surely(&space, "lost", Unique::until_done, 8).await;
    assert!(!other.is_duplicate() && other.job != lost.job, "its key was lost with the job");
    for claim in claims {
        settles_nothing(&space, claim).await;
    }
    let held = space.client.inspect("q").unique_keys(None, 9).await.unwrap().0;
    let mut jobs: Vec<_> = held.iter().map(|key| (key.job.job, key.behind)).collect();
    jobs.sort_unstable();
    let mut expected = vec![(stands.job, None), (last.job, Some(behind.job)), (other.job, None)];
    expected.sort_unstable();
    assert_eq!(jobs, expected, "an old claim frees no key");

    // All of them run, and end with no key left.
    for number in [1, 2, 8, 3] {
        space.client.broker().promote(&Partition::first(queue())).await.unwrap();
        let claim = claim(&space).await;
        let job: Number = poolder_core::payload::decode(claim.envelope.raw_job()).unwrap();
        assert_eq!(job, Number(number), "the data of the moment");
        settle(&space, &claim, Transition::Complete).await;
    }
    assert!(space.client.inspect("q").unique_keys(None, 9).await.unwrap().0.is_empty());
}

#[tokio::test]
async fn an_emptied_queue_has_no_key_and_old_claims_free_none() {
    let space = Space::new("unique-emptied");
    for lost in ["all", "unique"] {
        let rule = || Unique::until_done().hold_for(HOUR);
        let first = send(&space, "one", rule(), 1).await.unwrap();
        let old = claim(&space).await;
        let keys: &[&str] = if lost == "all" { &["ready:normal", "unique"] } else { &["unique"] };
        for key in keys {
            let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", key))).await;
        }
        let second = send(&space, "one", rule(), 2).await.unwrap();
        assert!(!second.is_duplicate() && second.job != first.job, "{lost}: the key was lost");
        if lost == "all" {
            settles_nothing(&space, old).await;
        } else {
            // Its job is there, and ends: the key is that of the second.
            settle(&space, &old, Transition::Complete).await;
        }
        let third = send(&space, "one", rule(), 3).await.unwrap();
        assert_eq!((third.is_duplicate(), third.job), (true, second.job), "{lost}");
        space.client.job(&second).cancel().await.unwrap();
    }
}
