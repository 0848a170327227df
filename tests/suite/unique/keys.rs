//! Keys of jobs that were lost or live on beyond their time, and commands of operators.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Error, Partition, QueueName, Receipt, Stored};
use poolder_core::broker::{DeadLimits, KeySweep, Settled, Settlement};
use poolder_core::policy::decide::{Transition, Wait};
use poolder_core::{Claim, Timestamp};

use crate::harness::{Number, Space, eventually};

const HOUR: Duration = Duration::from_secs(3600);
const SHORT: Duration = Duration::from_millis(1);

async fn enqueue(space: &Space, delay: Duration) -> Result<Receipt, Error> {
    let rule = Unique::until_done().hold_for(SHORT).by(&"one");
    space.client.enqueue(Number(1)).after(delay).unique(rule).await
}

pub(super) async fn claim(space: &Space) -> Claim {
    let mut line = space.connection("q", "me").await;
    for lane in [Lane::Normal, Lane::Front] {
        let claimed = line.exchange(&[], Some((lane, 1)), true).await.unwrap().claimed.unwrap();
        if let Some(claim) = claimed.jobs.into_iter().next() {
            return claim;
        }
    }
    panic!("nothing is ready")
}

pub(super) async fn settle(space: &Space, claim: &Claim, transition: Transition) {
    let settlement = Settlement::new(claim.clone(), "me".into(), None, transition);
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let settled = broker.settle(&partition, DeadLimits::default(), &[settlement]).await;
    assert!(matches!(settled[0], Settled::Applied), "{settled:?}");
}

pub(super) fn queue() -> QueueName {
    QueueName::new("q").unwrap()
}

/// Waits until the time of the record is over.
async fn outlast(space: &Space) {
    let over = async || {
        let held = space.client.inspect("q").unique_keys(None, 10).await.unwrap().0;
        let now = space.overview("q").await.now;
        held.iter().all(|key| key.until < now)
    };
    eventually("the time is over", over).await;
}

#[tokio::test]
async fn a_job_that_lives_on_beyond_its_time_holds_its_key() {
    let space = Space::new("unique-long");
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let sweep = async || {
        let swept = broker.sweep_keys(&partition, &KeySweep::default()).await.unwrap();
        assert_eq!((swept.looked, swept.freed, swept.is_through()), (1, 0, true));
    };
    // In `due`, then in its lane, running, in `due` again, and back in its lane.
    let receipt = enqueue(&space, HOUR).await.unwrap();
    let mut claimed = None;
    for place in ["due", "lane", "runs", "retries", "lane again"] {
        match place {
            "lane" | "lane again" => {
                let later = Some(Timestamp::now() + HOUR * 3);
                assert_eq!(broker.promote_as_of(&partition, later).await.unwrap().moved, 1);
            }
            "runs" => claimed = Some(claim(&space).await),
            "retries" => {
                let claim = claimed.take().unwrap();
                let counters = claim.counters.clone();
                let why = Wait::Retry;
                settle(&space, &claim, Transition::Later { delay: SHORT, counters, why }).await;
            }
            _ => space.client.job(&receipt).run_now().await.unwrap(),
        }
        outlast(&space).await;
        sweep().await;
        let again = enqueue(&space, Duration::ZERO).await.unwrap();
        assert_eq!((again.is_duplicate(), again.job), (true, receipt.job), "{place}");
    }
    settle(&space, &claim(&space).await, Transition::Complete).await;
    assert!(!enqueue(&space, Duration::ZERO).await.unwrap().is_duplicate());
}

#[tokio::test]
async fn a_key_of_a_lost_job_frees_itself() {
    let space = Space::new("unique-lost");
    for delay in [Duration::ZERO, HOUR] {
        enqueue(&space, delay).await.unwrap();
        if delay.is_zero() {
            outlast(&space).await;
        } else {
            // The time of a record counts from the due time.
            let view = space.client.inspect("q").due(None, 1).await.unwrap().jobs.remove(0);
            space.client.job(&view).run_now().await.unwrap();
            outlast(&space).await;
        }
        for key in ["ready:normal", "bodies"] {
            let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", key))).await;
        }
        let next = enqueue(&space, Duration::ZERO).await.unwrap();
        assert!(!next.is_duplicate(), "{delay:?}");
        space.client.job(&next).cancel().await.unwrap();
    }
    enqueue(&space, Duration::ZERO).await.unwrap();
    outlast(&space).await;
    let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", "ready:normal"))).await;
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let swept = broker.sweep_keys(&partition, &KeySweep::default()).await.unwrap();
    assert_eq!((swept.looked, swept.freed), (1, 1));
    assert!(broker.no_key_is_held(&partition).await.unwrap(), "nothing is left behind");
}

#[tokio::test]
async fn a_window_is_over_when_its_time_is_or_an_operator_ends_its_job() {
    let space = Space::new("unique-window");
    let send = |window| space.client.enqueue(Number(1)).unique(Unique::window(window));
    let first = send(HOUR).await.unwrap();
    settle(&space, &claim(&space).await, Transition::Complete).await;
    let again = send(HOUR).await.unwrap();
    assert_eq!((again.is_duplicate(), again.job), (true, first.job), "whatever became of the job");
    let key = space.client.inspect("q").unique_keys(None, 10).await.unwrap().0.remove(0);
    assert!(space.client.inspect("q").release_unique_key(&key).await.unwrap());
    let next = send(HOUR).await.unwrap();
    assert!(!next.is_duplicate());
    space.client.job(&next).remove().await.unwrap();
    assert!(!send(SHORT).await.unwrap().is_duplicate());
    outlast(&space).await;
    let last = send(HOUR).await.unwrap();
    assert!(!last.is_duplicate(), "the time is over");
    assert!(!space.client.inspect("q").release_unique_key(&key).await.unwrap(), "not as seen");
}

#[tokio::test]
async fn a_window_follows_its_job_and_a_replacement_does_not_put_its_end_off() {
    let space = Space::new("unique-window-replace");
    let (broker, partition) = (space.client.broker(), Partition::first(queue()));
    let send = |number| {
        let rule = Unique::window(HOUR).by(&"one").replace();
        space.client.enqueue(Number(number)).unique(rule)
    };
    let until = async || {
        let held = space.client.inspect("q").unique_keys(None, 10).await.unwrap().0;
        assert_eq!(held.len(), 1);
        held[0].until
    };
    let first = send(1).await.unwrap();
    let end = until().await;
    let mut number = 1;
    for place in ["lane", "retries", "lane again", "put off", "dead and revived"] {
        match place {
            "retries" => {
                let claim = claim(&space).await;
                let counters = claim.counters.clone();
                let (delay, why) = (HOUR, Wait::Retry);
                settle(&space, &claim, Transition::Later { delay, counters, why }).await;
            }
            "lane again" => {
                let later = Some(Timestamp::now() + HOUR * 3);
                assert_eq!(broker.promote_as_of(&partition, later).await.unwrap().moved, 1);
            }
            "put off" => {
                let at = Timestamp::now() + HOUR;
                space.client.job(&first).reschedule(at).await.unwrap();
            }
            "dead and revived" => {
                space.client.job(&first).run_now().await.unwrap();
                broker.promote(&partition).await.unwrap();
                let claim = claim(&space).await;
                let counters = claim.counters.clone();
                settle(&space, &claim, Transition::Bury { counters }).await;
                space.client.job(&first).revive().await.unwrap();
            }
            _ => {}
        }
        number += 1;
        let again = send(number).await.unwrap();
        assert!(matches!(again.stored, Stored::Replaced(Some(_))), "{place}: {again:?}");
        let view = space.client.job(again.handle()).view().await.unwrap().unwrap();
        assert_eq!(view.payload_json().unwrap(), serde_json::json!(number), "{place}");
        assert_eq!((again.job, until().await), (first.job, end), "{place}");
    }
}

#[tokio::test]
async fn a_dead_job_takes_its_key_again_or_stays_dead() {
    let space = Space::new("unique-revive");
    let rule = || Unique::until_done().by(&"one");
    let send = || space.client.enqueue(Number(1)).unique(rule());
    let first = send().await.unwrap();
    let claimed = claim(&space).await;
    let mut counters = claimed.counters.clone();
    counters.failures = 1;
    settle(&space, &claimed, Transition::Bury { counters }).await;
    let second = send().await.unwrap();
    assert!(!second.is_duplicate());
    let error = space.client.job(&first).revive().await.unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("unique key"), "{error}");
    assert_eq!(space.client.inspect("q").revive_where(|_| true).await.unwrap(), 0);
    let explained = space.client.job(&second).explain().await.unwrap().to_string();
    assert!(explained.contains("it holds the unique key"), "{explained}");
    let explained = space.client.job(&first).explain().await.unwrap().to_string();
    assert!(explained.contains(&second.job.to_string()), "{explained}");
    assert_eq!(space.client.inspect("q").drain().await.unwrap(), 1);
    space.client.job(&first).revive().await.unwrap();
    assert_eq!(send().await.unwrap().job, first.job);
}
