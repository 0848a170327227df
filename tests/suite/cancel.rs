//! Cancelling a job, in whatever state it is.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cancellation, Handle, Interruption, JobId, QueueName, Receipt, Stored};
use tokio::sync::{mpsc, watch};

use crate::child::{HELD, Process};
use crate::harness::{Number, Space, start, teller, within};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

fn by_id(job: JobId) -> Handle {
    Handle::new(QueueName::new("q").unwrap(), job)
}

/// Stores a cancellation without the hint that announces it, as if the hint were lost.
async fn store_cancellation_without_hint(space: &Space, receipt: &Receipt) {
    let millis = match receipt.stored {
        Stored::Due(at) => (at + 7 * DAY).millis(),
        _ => space.overview("q").await.now.millis(),
    };
    let mut cmd = redis::cmd("ZADD");
    cmd.arg(space.key("q", "cancelled")).arg(millis).arg(receipt.job.as_bytes());
    space.redis::<u64>(&mut cmd).await;
}

#[tokio::test]
async fn what_waits_is_gone_at_once_and_what_has_ended_stays_as_it_is() {
    let space = Space::new("cancel");
    let client = &space.client;
    let ready = client.enqueue(Number(1)).await.unwrap();
    let by_its_id = client.enqueue(Number(2)).lane(Lane::High).await.unwrap();
    let named = client.enqueue(Number(3)).id("three").await.unwrap();
    let due = client.enqueue(Number(4)).after(DAY).await.unwrap();
    for handle in [Handle::from(&ready), by_id(by_its_id.job), by_id(named.job), Handle::from(&due)]
    {
        assert_eq!(client.job(handle).cancel().await.unwrap(), Cancellation::Removed);
    }
    let view = space.overview("q").await;
    assert_eq!((view.ready(), view.due, view.pending_cancels), (0, 0, 0));
    assert_eq!(view.counter("cancelled"), 4);

    let worker = worker_fn(|job: Number, _: Context| async move {
        if job.0 == 5 { Err("no".into()) } else { Ok::<_, BoxError>(Outcome::result(&job.0)?) }
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let once = Policy::default().attempts(1);
    let dead = client.enqueue(Number(5)).policy(once).await.unwrap();
    let done = client.enqueue(Number(6)).await.unwrap();
    space.until_count("q", "completed", 1).await;
    assert_eq!(client.job(&dead).cancel().await.unwrap(), Cancellation::Dead);
    assert_eq!(client.job(&done).cancel().await.unwrap(), Cancellation::Ended);
    assert_eq!(client.job(&ready).cancel().await.unwrap(), Cancellation::Noted);
    assert_eq!(space.overview("q").await.dead, 1);
    node.stop().await;
}

#[tokio::test]
async fn a_running_handler_is_told_why_and_its_job_ends_as_cancelled() {
    let space = Space::new("running");
    let (tell, mut told) = mpsc::channel(10);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send(None).await?;
            if job.0 == 2 {
                // Ignores the cancellation, so that its future is dropped.
                std::future::pending::<()>().await;
            }
            cx.cancelled().await;
            tell.send(cx.interruption()).await?;
            Err::<Outcome, BoxError>("I was told to stop".into())
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    for number in [1, 2] {
        let receipt = space.client.enqueue(Number(number)).keep_completion(DAY).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap(), None);
        let what = space.client.job(&receipt).cancel().await.unwrap();
        assert_eq!(what, Cancellation::Stopping);
        if number == 1 {
            assert_eq!(within(told.recv()).await.unwrap(), Some(Interruption::Cancelled));
        }
        let end = space.client.job(&receipt).wait::<u64>().timeout(crate::harness::PATIENCE).await;
        assert!(end.unwrap_err().is_cancelled());
    }
    let view = space.overview("q").await;
    assert_eq!(
        (view.counter("cancelled"), view.counter("retried"), view.pending_cancels),
        (2, 0, 0)
    );
    assert_eq!((view.ready(), view.running(), view.due, view.dead), (0, 0, 0, 0));
    node.stop().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_job_that_runs_in_another_process_is_cancelled_by_its_id() {
    let space = Space::new("fleet");
    let mut process = Process::start(&space, 2);
    let held = space.client.enqueue(Number(HELD)).await.unwrap();
    process.started(1).await;
    // Only the id is known, as when it was found in a log.
    let what = space.client.job(by_id(held.job)).cancel().await.unwrap();
    assert_eq!(what, Cancellation::Stopping);
    space.until_count("q", "cancelled", 1).await;
    let view = space.overview("q").await;
    assert_eq!((view.running(), view.due, view.pending_cancels), (0, 0, 0));
}

#[tokio::test]
async fn a_cancellation_that_races_with_a_retry_or_a_snooze_wins() {
    let space = Space::new("race");
    let (tell, mut told) = mpsc::channel(10);
    let (go, gone) = watch::channel(0);
    let worker = worker_fn(move |job: Number, _: Context| {
        let (tell, mut gone) = (tell.clone(), gone.clone());
        async move {
            tell.send(()).await?;
            gone.wait_for(|number| *number >= job.0).await?;
            if job.0 == 1 { Err::<_, BoxError>("no luck".into()) } else { Ok(Snooze(DAY)) }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    for number in [1, 2] {
        let receipt = space.client.enqueue(Number(number)).keep_completion(DAY).await.unwrap();
        within(told.recv()).await.unwrap();
        store_cancellation_without_hint(&space, &receipt).await;
        go.send_replace(number);
        let end = space.client.job(&receipt).wait::<u64>().timeout(crate::harness::PATIENCE).await;
        assert!(end.unwrap_err().is_cancelled());
        let view = space.overview("q").await;
        assert_eq!((view.counter("cancelled"), view.due, view.pending_cancels), (number, 0, 0));
    }
    node.stop().await;
    assert_eq!(space.count("q", "retried").await, 0);
}

#[tokio::test]
async fn a_cancellation_holds_when_the_node_of_the_job_has_died() {
    let space = Space::new("died");
    let mut doomed = Process::start(&space, 2);
    let cancelled = space.client.enqueue(Number(HELD)).await.unwrap();
    space.client.enqueue(Number(HELD + 1)).await.unwrap();
    doomed.started(2).await;
    doomed.signal("KILL").await;
    let what = space.client.job(&cancelled).cancel().await.unwrap();
    assert_eq!(what, Cancellation::Stopping, "the node is not yet known to be dead");
    assert!(!doomed.ended().await, "it is killed");
    doomed.age(&space).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, HELD + 1, "the other one is rescued");
    space.until_count("q", "cancelled", 1).await;
    node.stop().await;
    assert!(told.try_recv().is_err());
    let view = space.overview("q").await;
    assert_eq!((view.ready(), view.pending_cancels, view.counter("rescued")), (0, 0, 1));
}

#[tokio::test]
async fn a_job_whose_cancellation_came_before_its_claim_does_not_start() {
    let space = Space::new("claim");
    let client = &space.client;
    let waits = client.enqueue(Number(1)).await.unwrap();
    let due = client.enqueue(Number(2)).after(Duration::from_millis(300)).await.unwrap();
    for receipt in [&waits, &due] {
        store_cancellation_without_hint(&space, receipt).await;
    }
    let meta = space.key("q", "meta");
    space.redis::<u64>(redis::cmd("HINCRBY").arg(meta).arg("orders").arg(1)).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.until_count("q", "cancelled", 2).await;
    client.enqueue(Number(3)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 3, "others run");
    node.stop().await;
    assert!(told.try_recv().is_err());
    assert_eq!(space.overview("q").await.pending_cancels, 0);
}

#[tokio::test]
async fn a_later_job_of_the_same_own_id_is_not_meant() {
    let space = Space::new("again");
    let client = &space.client;
    let name = || client.enqueue(Number(1)).id("order-1");
    let first = name().await.unwrap();
    assert_eq!(client.job(&first).cancel().await.unwrap(), Cancellation::Removed);
    assert_eq!(client.job(by_id(first.job)).cancel().await.unwrap(), Cancellation::Noted);
    assert_eq!(space.overview("q").await.pending_cancels, 1);
    // The server's clock must advance by a millisecond.
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(name().await.unwrap().job, first.job);
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().1.id(), first.job);
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    let kept = space.overview("q").await.pending_cancels;
    assert_eq!(kept, 1, "it stays, since a job from before it may be found yet");
}

#[tokio::test]
async fn a_storm_of_cancels_ends_every_job_once_although_hints_are_lost() {
    const JOBS: u64 = 400;
    let server = poolder_devserver::Server::builder().start().unwrap();
    let space = Space::on(server.url(), "storm");
    let worker = worker_fn(|job: Number, cx: Context| async move {
        match job.0 % 4 {
            // These handlers end only when they are cancelled.
            0 => {
                cx.cancelled().await;
                Err::<Outcome, BoxError>("I was told to stop".into())
            }
            1 if cx.attempt() == 1 => Err("once".into()),
            2 if cx.fence() == 1 => Ok(Snooze(Duration::from_millis(30))),
            _ => Ok(Done),
        }
    });
    let pool = || Pool::new("q").size(8).worker(worker.clone());
    let nodes = [start(space.node().pool(pool())), start(space.node().pool(pool()))];
    let deafening = async {
        loop {
            tokio::time::sleep(Duration::from_millis(150)).await;
            space.redis::<u64>(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).await;
        }
    };
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(20)));
    let cancelling = (0..8).map(|task| {
        let (client, policy) = (space.client.clone(), policy.clone());
        tokio::spawn(async move {
            for number in (task..JOBS).step_by(8) {
                let delay = Duration::from_millis(number % 3 * 20);
                let job =
                    client.enqueue(Number(number)).policy(policy.clone()).keep_completion(DAY);
                let receipt = job.after(delay).await.unwrap();
                tokio::time::sleep(Duration::from_millis(number * 7 % 60)).await;
                let handle =
                    if number % 2 == 0 { Handle::from(&receipt) } else { by_id(receipt.job) };
                client.job(handle).cancel().await.unwrap();
                let end = client.job(&receipt).wait::<()>().timeout(crate::harness::PATIENCE).await;
                match end {
                    Ok(()) => assert_ne!(number % 4, 0, "this one cannot be done"),
                    Err(error) => assert!(error.is_cancelled(), "{error}"),
                }
            }
        })
    });
    let all = async {
        for task in cancelling.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    };
    tokio::select! {
        () = deafening => unreachable!("it goes on"),
        () = all => {}
    }
    let view = space.overview("q").await;
    assert_eq!(view.counter("completed") + view.counter("cancelled"), JOBS, "{view:?}");
    assert_eq!((view.ready(), view.running(), view.due, view.retrying), (0, 0, 0, 0));
    for node in nodes {
        node.stop().await;
    }
}
