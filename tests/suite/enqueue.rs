//! The ways to enqueue a job, and what its handler can read about it.

use std::collections::HashSet;
use std::future::IntoFuture;
use std::time::{Duration, SystemTime};

use poolder::prelude::*;
use poolder::{MAX_PAYLOAD, Stored};
use serde::{Deserialize, Serialize};

use crate::harness::{Number, Space, start, teller, within};

#[tokio::test]
async fn a_job_runs_once_and_knows_itself() {
    let space = Space::new("walk");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let receipt = space.client.enqueue(Number(7)).await.unwrap();
    let (number, cx) = within(told.recv()).await.unwrap();
    assert_eq!((number, cx.id(), cx.kind(), cx.queue()), (7, receipt.job, "number", "q"));
    assert_eq!((cx.attempt(), cx.fence(), cx.is_cancelled()), (1, 1, false));
    assert!(cx.deadline().is_some(), "half an hour by default");
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.ready("q").await, 0, "the completed job is deleted");
    node.stop().await;
    assert!(told.try_recv().is_err(), "once");
}

#[tokio::test]
async fn many_jobs_have_one_result_each_and_all_run() {
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "blob", queue = "q")]
    struct Blob(#[serde(with = "bytes")] Vec<u8>);
    mod bytes {
        pub(super) fn serialize<S: serde::Serializer>(b: &[u8], s: S) -> Result<S::Ok, S::Error> {
            s.serialize_bytes(b)
        }
        pub(super) fn deserialize<'de, D: serde::Deserializer<'de>>(
            d: D,
        ) -> Result<Vec<u8>, D::Error> {
            serde::Deserialize::deserialize(d)
        }
    }
    let space = Space::new("bulk");
    let sizes = [10, MAX_PAYLOAD + 1, 20];
    let results = space.client.enqueue_many(sizes.map(|size| Blob(vec![0; size]))).await;
    let error = results[1].as_ref().unwrap_err();
    assert!(results[0].is_ok() && results[2].is_ok(), "the neighbours are stored");
    assert!(error.is_too_large() && error.to_string().contains("enqueue a reference"), "{error}");
    assert_eq!(space.ready("q").await, 2);

    let space = Space::new("bulk-all");
    let (worker, mut told) = teller();
    let results = space.client.enqueue_many((0..1_700).map(Number)).await;
    assert!(results.iter().all(Result::is_ok));
    let node = start(space.node().pool(Pool::new("q").size(64).worker(worker)));
    let mut seen = HashSet::new();
    while seen.len() < 1_700 {
        assert!(seen.insert(within(told.recv()).await.unwrap().0), "no job twice");
    }
    space.until_count("q", "completed", 1_700).await;
    node.stop().await;
    assert_eq!(space.ready("q").await, 0);
}

/// Concurrent enqueues travel in one pipeline of up to several hundred commands.
#[tokio::test]
async fn callers_at_once_have_their_own_answers_in_their_order() {
    let space = Space::new("at-once");
    space.client.enqueue(Number(0)).await.unwrap();
    space.redis::<()>(redis::cmd("SET").arg(space.key("bad", "ready:normal")).arg("mine")).await;
    space.client.enqueue(Number(0)).queue("bad").await.unwrap_err();
    let queue = |n: u64| if n % 10 == 7 { "bad" } else { "q" };
    let callers = (1..1_000).map(|n| space.client.enqueue(Number(n)).queue(queue(n)).into_future());
    let (mut last, mut stored) = (vec![], 1);
    for (n, answer) in (1..).zip(futures_util::future::join_all(callers).await) {
        if queue(n) == "bad" {
            let error = answer.unwrap_err();
            assert!(error.is_refused() && error.to_string().contains("WRONGTYPE"), "{error}");
            assert!(error.job_id().is_some(), "it names the job");
            continue;
        }
        let receipt = answer.unwrap();
        let job = space.client.job(&receipt).view().await.unwrap().expect("it is there");
        assert_eq!(job.payload_json().unwrap(), serde_json::json!(n), "the job of this caller");
        let Stored::Ready(entry) = receipt.stored else { panic!("{receipt:?}") };
        let entry: Vec<u64> = entry.split('-').map(|part| part.parse().unwrap()).collect();
        assert!(entry > last, "{entry:?} of {n} comes before {last:?}");
        (last, stored) = (entry, stored + 1);
    }
    assert_eq!(space.ready("q").await, stored);
}

#[tokio::test]
async fn who_gives_up_while_others_send_does_not_enqueue() {
    let space = Space::new("gives-up");
    space.client.enqueue(Number(0)).await.unwrap();
    let all = (1..=3).map(|n| Box::pin(space.client.enqueue(Number(n)).into_future()));
    let mut callers: Vec<_> = all.collect();
    for caller in &mut callers {
        assert!(futures_util::poll!(caller).is_pending());
    }
    drop(callers.pop());
    for answer in futures_util::future::join_all(callers).await {
        answer.unwrap();
    }
    space.client.enqueue(Number(4)).await.unwrap();
    assert_eq!(space.ready("q").await, 4, "all but the third");
}

#[tokio::test]
async fn a_delayed_job_waits_for_its_time_and_a_late_one_does_not() {
    let space = Space::new("delay");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let (delay, now) = (Duration::from_millis(700), SystemTime::now());
    let receipt = space.client.enqueue(Number(2)).after(delay).await.unwrap();
    assert!(matches!(receipt.stored, Stored::Due(at) if SystemTime::from(at) >= now));
    space.client.enqueue(Number(1)).at(now - delay).await.unwrap();
    let at = space.client.enqueue(Number(3)).at(now + 2 * delay).await.unwrap();
    for expected in 1..=3 {
        let (number, cx) = within(told.recv()).await.unwrap();
        let waited = now.elapsed().unwrap();
        assert_eq!(number, expected);
        let rounding = Duration::from_millis(2);
        assert!(waited + rounding >= (expected as u32 - 1) * delay, "{waited:?}");
        if expected == 3 {
            assert_eq!(cx.id(), at.job);
        }
    }
    node.stop().await;
    assert_eq!(space.due("q").await, 0);
}

#[tokio::test]
async fn an_own_id_names_the_job_and_idempotent_makes_repetitions_one() {
    let space = Space::new("ids");
    let day = Duration::from_secs(24 * 60 * 60);
    let enqueue = || space.client.enqueue(Number(1)).id("order-1").idempotent(day);
    let first = enqueue().await.unwrap();
    let again = enqueue().await.unwrap();
    assert_eq!(first.job, again.job);
    assert!(matches!(first.stored, Stored::Ready(_)));
    assert_eq!(again.stored, Stored::Already);
    assert_eq!(space.ready("q").await, 1);

    let later = || space.client.enqueue(Number(2)).id("order-2").after(day);
    assert!(matches!(later().await.unwrap().stored, Stored::Due(_)));
    assert_eq!(later().await.unwrap().stored, Stored::Already, "one that waits is not replaced");
    assert_eq!(space.due("q").await, 1);

    // The receipt outlives the job: within the window an enqueue with the same id stores nothing.
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    within(told.recv()).await.unwrap();
    space.until_count("q", "completed", 1).await;
    assert_eq!(enqueue().await.unwrap().stored, Stored::Already);
    node.stop().await;
}

#[tokio::test]
async fn what_cannot_be_enqueued_is_refused_before_anything_is_stored() {
    let space = Space::new("refused");
    let bad = [
        space.client.enqueue(Number(1)).queue("a b").await.unwrap_err(),
        space.client.enqueue(Number(1)).queue("").await.unwrap_err(),
        space.client.enqueue(Number(1)).lane(Lane::Front).await.unwrap_err(),
        space.client.enqueue(Number(1)).policy(Policy::default().attempts(0)).await.unwrap_err(),
    ];
    for error in bad {
        assert!(error.is_invalid(), "{error}");
    }
    let keys: Vec<String> =
        space.redis(redis::cmd("KEYS").arg(format!("{}:*", space.name()))).await;
    assert_eq!(keys, Vec::<String>::new());
}
