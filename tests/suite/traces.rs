//! The trace context of a job travels with it wherever it goes.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{EnqueueOptions, JobView, QueueName, Receipt, TraceParent};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn parent() -> Option<TraceParent> {
    Some(PARENT.parse().unwrap())
}

/// Returns a worker that sends the trace context of every attempt, and fails each one whose number
/// is not in the job.
fn reader() -> (impl Worker<Job = Number>, mpsc::Receiver<(u32, Option<TraceParent>)>) {
    let (tell, told) = mpsc::channel(1_000);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.try_send((cx.attempt(), cx.trace_parent()))?;
            if job.0 == u64::from(cx.attempt()) {
                Ok(Done)
            } else {
                Err::<_, BoxError>("not yet".into())
            }
        }
    });
    (worker, told)
}

impl Space {
    async fn traced(&self, receipt: &Receipt) -> JobView {
        self.client.job(receipt).view().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn a_trace_survives_a_reschedule_retries_death_an_edit_and_a_revival() {
    let space = Space::new("traces");
    let (worker, mut told) = reader();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::ZERO));
    let hour = Duration::from_secs(3600);
    let job = space.client.enqueue(Number(9)).after(hour).policy(policy).trace_parent(PARENT);
    let job = job.await.unwrap();
    assert_eq!(space.traced(&job).await.trace_parent(), parent());
    assert!(space.traced(&job).await.headers().is_empty(), "headers are the user's");
    let ours = space.client.job(&job);
    ours.run_now().await.unwrap();
    for attempt in [1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, parent()));
    }
    space.until_count("q", "buried", 1).await;
    ours.revive().await.unwrap();
    for attempt in [1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, parent()));
    }
    space.until_count("q", "buried", 2).await;
    ours.edit_and_revive(&serde_json::json!(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, parent()));
    space.until_count("q", "completed", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn the_job_of_every_tick_has_the_trace_of_its_schedule() {
    let space = Space::new("traces-schedule");
    let (worker, mut told) = reader();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let often = space.client.schedule("often", Duration::from_millis(100), Number(1));
    often.trace_parent(PARENT).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, parent()));
    let schedules = space.client.schedules("q");
    schedules.pause("often").await.unwrap();
    while told.try_recv().is_ok() {}
    schedules.run_now("often").await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, parent()));
    node.stop().await;
}

#[tokio::test]
async fn each_way_to_send_takes_a_trace_and_passes_over_what_is_none() {
    let space = Space::new("traces-ways");
    let (client, timeout) = (&space.client, Duration::from_millis(100));
    client.enqueue(Number(1)).trace_parent(parent().unwrap()).await.unwrap();
    client.enqueue_many([Number(2)]).trace_parent(PARENT).await.remove(0).unwrap();
    let call = client.call::<_, ()>(Number(3)).trace_parent(PARENT.to_owned()).timeout(timeout);
    assert!(call.await.unwrap_err().is_timeout());
    let options = EnqueueOptions::new().trace_parent(PARENT);
    client.enqueue(Number(4)).options(options.clone()).await.unwrap();
    client.pool::<Number>("q").with_shared_slots(1).cast(Number(5)).options(options).await.unwrap();
    let set = client.pool_set("set");
    set.add("q").await.unwrap();
    set.cast(Number(6)).trace_parent(PARENT).await.unwrap().remove(0).1.unwrap();
    let page = client.inspect("q").ready(Lane::Normal, None, 10).await.unwrap();
    assert_eq!(page.jobs.len(), 6);
    assert!(page.jobs.iter().all(|job| job.trace_parent() == parent()), "{page:?}");

    let slots: QueueName = "slots".parse().unwrap();
    client.broker().define_pool(&slots, Mode::RoundRobin, 1).await.unwrap();
    let cast = client.pool::<Number>("slots").cast(Number(1)).trace_parent(PARENT).await.unwrap();
    assert_eq!(space.traced(&cast).await.trace_parent(), parent());

    for wrong in ["", "00-no", &PARENT.to_uppercase()] {
        let job = client.enqueue(Number(7)).trace_parent(wrong).await.unwrap();
        assert_eq!(space.traced(&job).await.trace_parent(), None, "{wrong:?}");
    }
    // The latest call counts.
    let job = client.enqueue(Number(8)).trace_parent(PARENT).trace_parent("no").await.unwrap();
    assert_eq!(space.traced(&job).await.trace_parent(), None);
}

#[tokio::test]
async fn the_copies_of_a_broadcast_have_its_trace() {
    let space = Space::new("traces-broadcast");
    let (worker, mut told) = reader();
    let pool = Pool::new("q").mode(Mode::Broadcast).size(2).worker(worker);
    let node = start(space.node().pool(pool));
    let client = space.client.pool::<Number>("q");
    // A broadcast goes to the slots that run then: until the node listens, none gets a copy.
    let heard = within(async {
        loop {
            // An error until the pool is registered.
            let _ = client.cast(Number(1)).trace_parent(PARENT).await;
            if let Ok(heard) = tokio::time::timeout(Duration::from_millis(300), told.recv()).await {
                return heard;
            }
        }
    });
    assert_eq!(heard.await.unwrap(), (1, parent()));
    node.stop().await;
}
