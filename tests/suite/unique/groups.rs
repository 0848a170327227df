//! Unique jobs in the groups of a limited queue.

use poolder::prelude::*;
use poolder::{Partition, Place, QueueLimits, QueueName, Receipt, Stored};
use poolder_core::broker::{KeySweep, Settlement};
use poolder_core::policy::decide::Transition;

use crate::harness::{Number, Space};

fn partition() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

/// Returns a queue in which one job of a group runs at a time.
async fn limited(name: &str) -> Space {
    let space = Space::new(name);
    space.client.limits("q").set(QueueLimits::new().group_concurrency(1)).await.unwrap();
    space
}

/// Enqueues a job, and moves all that are due into their groups.
async fn send(space: &Space, rule: Unique, number: u64) -> Receipt {
    let enqueue = space.client.enqueue(Number(number)).unique(rule.by(&"one")).group("a");
    let receipt = enqueue.await.unwrap();
    into_groups(space).await;
    receipt
}

async fn into_groups(space: &Space) {
    let broker = space.client.broker();
    broker.promote(&partition()).await.unwrap();
    while broker.sort(&partition(), &mut Default::default()).await.unwrap() != Some(0) {}
}

#[tokio::test]
async fn each_command_that_ends_a_job_in_its_group_frees_its_key() {
    let space = limited("unique-group-ends").await;
    for how in ["cancel", "remove", "bury", "drain"] {
        let job = send(&space, Unique::until_done(), 1).await;
        assert!(!job.is_duplicate(), "before {how}");
        let view = space.client.job(&job).view().await.unwrap().unwrap();
        assert!(matches!(view.handle.place, Some(Place::Group(..))), "{how}: {view:?}");
        let again = send(&space, Unique::until_done(), 2).await;
        assert_eq!((again.is_duplicate(), again.job), (true, job.job), "{how}");
        match how {
            "cancel" => drop(space.client.job(&job).cancel().await.unwrap()),
            "remove" => space.client.job(&job).remove().await.unwrap(),
            "bury" => space.client.job(&job).bury("no").await.unwrap(),
            _ => assert_eq!(space.client.inspect("q").drain().await.unwrap(), 1),
        }
    }
    assert!(!send(&space, Unique::until_done(), 3).await.is_duplicate());
}

#[tokio::test]
async fn one_waits_behind_the_other_and_then_in_its_group_with_the_newest_data() {
    let space = limited("unique-group-last").await;
    let first = send(&space, Unique::keep_last(), 1).await;
    let second = send(&space, Unique::keep_last(), 2).await;
    assert_eq!(second.stored, Stored::Behind);
    let third = send(&space, Unique::keep_last(), 3).await;
    assert_eq!((&third.stored, third.job), (&Stored::Replaced(None), second.job));
    let mut connection = space.connection("q", "n1").await;
    for (job, number) in [(first.job, 1), (second.job, 3)] {
        into_groups(&space).await;
        let (exchange, _) = connection.admit(&[], 20, false).await.unwrap();
        let claims = exchange.claimed.unwrap().jobs;
        let [claim] = claims.as_slice() else { panic!("one at a time: {claims:?}") };
        let data: Number = poolder_core::payload::decode(claim.envelope.raw_job()).unwrap();
        assert_eq!((claim.job_id(), claim.group(), data), (job, Some("a"), Number(number)));
        let history = connection.history();
        let done = Settlement::new(claim.clone(), "n1".into(), history, Transition::Complete);
        connection.admit(&[done], 20, false).await.unwrap();
    }
    let broker = space.client.broker();
    broker.sweep_keys(&partition(), &KeySweep::default()).await.unwrap();
    assert!(broker.no_key_is_held(&partition()).await.unwrap());
}
