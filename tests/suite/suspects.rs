//! Suspects whose node dies: only the one that had begun to run is blamed.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{QueueName, Result, Timestamp};
use poolder_core::broker::{
    AcquireReply, Claimed, DeadLimits, PollRequest, Settlement, SlotLease, SlotPoll,
};
use poolder_core::policy::decide::{Ending, Transition, Wait, decide};
use poolder_core::{Claim, Entry, Facts, Lane, Partition};

use crate::harness::{Number, Space, start, teller, within};

fn first() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

/// Returns the settlement after a crash of the job's node.
fn crashed(claim: Claim) -> Settlement {
    let ending = Ending::Crashed("an earlier node".into());
    let facts = Facts::at(Timestamp::now());
    let transition = decide(&Policy::default(), &claim.counters, ending, facts);
    Settlement::new(claim, "ghost".into(), None, transition)
}

impl Space {
    /// Declares the node `ghost` dead.
    async fn bury_ghost(&self) {
        let marks = format!("{}:{{roster}}:marks", self.name());
        let mut mark = redis::cmd("ZADD");
        let now = Timestamp::now().millis();
        self.redis::<u64>(mark.arg(marks).arg(now).arg("ghost")).await;
    }
}

/// Claims a suspect as the node `ghost`.
async fn claim_suspect(space: &Space) -> Claim {
    space.client.enqueue(Number(7)).await.unwrap();
    let mut connection = space.connection("q", "ghost").await;
    for lane in [Lane::Normal, Lane::Front] {
        let claim = only(connection.exchange(&[], Some((lane, 1)), false).await.unwrap().claimed);
        let settled = [crashed(claim)];
        space.client.broker().settle(&first(), DeadLimits::default(), &settled).await;
    }
    only(connection.exchange(&[], Some((Lane::Suspect, 1)), false).await.unwrap().claimed)
}

fn only(claimed: Result<Claimed, poolder::Error>) -> Claim {
    claimed.unwrap().jobs.pop().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_was_only_claimed_is_not_blamed_and_one_that_had_begun_is() {
    for begun in [false, true] {
        let space = Space::new("suspect");
        let claim = claim_suspect(&space).await;
        let broker = space.client.broker();
        assert!(!broker.begin_suspect(&first(), "other", &claim.entry).await.unwrap());
        if begun {
            assert!(broker.begin_suspect(&first(), "ghost", &claim.entry).await.unwrap());
        }
        space.bury_ghost().await;
        let (worker, mut told) = teller();
        let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
        if begun {
            space.until_count("q", "buried", 1).await;
        } else {
            assert_eq!(within(told.recv()).await.unwrap().0, 7);
            space.until_count("q", "completed", 1).await;
        }
        node.stop().await;
        let notes = redis::cmd("EXISTS").arg(space.key("q", "lease")).to_owned();
        assert_eq!(space.redis::<u64>(&mut notes.clone()).await, 0, "a note is left");
    }
}

/// Claims jobs in a slot as the node `ghost`, with as many of them behind it.
async fn claim_in_slot(space: &Space, jobs: u64) -> (SlotLease, Vec<Entry>) {
    let (broker, ghost) = (space.client.broker(), "ghost".into());
    broker.define_pool(&first().queue, Mode::Phash, 1).await.unwrap();
    let pool = space.client.pool::<Number>("q");
    for number in 0..jobs {
        pool.cast(Number(number)).await.unwrap();
    }
    let AcquireReply::Ours(lease) = broker.acquire_slot(&first(), &ghost, None).await.unwrap()
    else {
        panic!("no other node holds it")
    };
    let request = PollRequest { claim: 16, generation: 1, open: true, ..PollRequest::default() };
    let SlotPoll::Claimed(entries) = broker.poll_slot(&lease, &request).await.unwrap().result
    else {
        panic!("there are jobs")
    };
    (lease, entries)
}

fn pool() -> (Pool, tokio::sync::mpsc::Receiver<(u64, Context)>) {
    let (tell, told) = tokio::sync::mpsc::channel(16);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx)).await?;
            Err::<Outcome, BoxError>("so that its history is kept".into())
        }
    });
    let policy = Policy::default().attempts(1);
    (Pool::new("q").size(1).mode(Mode::Phash).policy(policy).worker(worker), told)
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_a_slot_had_claimed_together_count_the_crash_and_suspects_do_not() {
    let space = Space::new("batch-crash");
    let (_, entries) = claim_in_slot(&space, 3).await;
    assert_eq!(entries.len(), 3);
    space.bury_ghost().await;
    let (pool, mut told) = pool();
    let node = start(space.node().pool(pool));
    for number in 0..3 {
        assert_eq!(within(told.recv()).await.unwrap().0, number);
    }
    space.until_count("q", "buried", 3).await;
    let page = space.client.inspect("q").dead(None, 10).await.unwrap();
    assert!(page.jobs.iter().all(|job| job.counters.crashes == 1), "{:?}", page.jobs);
    node.stop().await;

    for begun in [None, Some(0), Some(2)] {
        let space = Space::new("batch-suspects");
        let (lease, entries) = claim_in_slot(&space, 3).await;
        let broker = space.client.broker();
        // The jobs become suspects, wait in `due`, and are claimed once more, all at once.
        let again = entries.into_iter().map(|entry| match entry {
            Entry::Job(mut claim) => {
                claim.counters.crashes = 2;
                let (delay, counters) = (Duration::ZERO, claim.counters.clone());
                let later = Transition::Later { delay, counters, why: Wait::Retry };
                let settled = Settlement::new(claim, lease.node.clone(), None, later);
                settled.under_lease(&lease, RetryPlacement::Reschedule)
            }
            Entry::Undecodable(found) => panic!("{found:?}"),
        });
        let again: Vec<_> = again.collect();
        broker.settle(&first(), DeadLimits::default(), &again).await;
        assert_eq!(broker.promote(&first()).await.unwrap().moved, 3);
        let request = PollRequest { claim: 16, generation: 1, open: true, ..<_>::default() };
        let held = match broker.poll_slot(&lease, &request).await.unwrap().result {
            SlotPoll::Claimed(entries) => entries,
            other => panic!("{other:?}"),
        };
        let number = |entry: &Entry| match entry {
            Entry::Job(claim) => u64::from(*claim.envelope.raw_job().payload.last().unwrap()),
            Entry::Undecodable(found) => panic!("{found:?}"),
        };
        let numbers: Vec<u64> = held.iter().map(number).collect();
        if let Some(at) = begun {
            let (_, entry) = held[at].key();
            assert!(broker.begin_suspect_in_slot(&lease, entry).await.unwrap());
        }
        space.bury_ghost().await;
        let (worker, mut told) = teller();
        let pool = Pool::new("q").size(1).mode(Mode::Phash).worker(worker);
        let node = start(space.node().pool(pool));
        let innocent = numbers.iter().enumerate().filter(|(at, _)| begun != Some(*at));
        for (_, number) in innocent {
            assert_eq!(within(told.recv()).await.unwrap().0, *number, "{begun:?}");
        }
        space.until_count("q", "buried", u64::from(begun.is_some())).await;
        node.stop().await;
    }
}

/// A worker that runs job 1 until it is cancelled.
#[derive(Clone)]
struct Waits(tokio::sync::mpsc::Sender<u64>);

impl Worker for Waits {
    type Job = Number;

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.0.send(job.0).await?;
        cx.cancelled().await;
        Ok(Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspect_that_begins_is_recorded_before_its_handler_runs() {
    let space = Space::new("suspect-note");
    let claim = claim_suspect(&space).await;
    space.bury_ghost().await;
    let (tell, mut told) = tokio::sync::mpsc::channel(4);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(Waits(tell))));
    assert_eq!(within(told.recv()).await.unwrap(), 7);
    let notes: std::collections::HashMap<String, String> =
        space.redis(redis::cmd("HGETALL").arg(space.key("q", "lease"))).await;
    let noted: Vec<_> = notes.values().collect();
    assert!(noted.len() == 1 && *noted[0] != *claim.entry, "{notes:?}");
    let running = space.client.inspect("q").running(None, 9).await.unwrap();
    assert!(running.jobs[0].handle.to_string().ends_with(noted[0].as_str()), "{notes:?}");
    space.client.job(running.jobs[0].handle.clone()).cancel().await.unwrap();
    space.until_count("q", "completed", 1).await;
    tokio::time::timeout(Duration::from_secs(30), node.stop()).await.unwrap();
}
