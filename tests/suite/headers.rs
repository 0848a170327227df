//! Headers travel with a job wherever it goes.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{EnqueueOptions, Headers, JobView, QueueName, Receipt, Result};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

fn headers() -> Headers {
    Headers::new().with("tenant", "acme").with("request.id", "7 ✓")
}

/// Returns a worker that sends the headers of every attempt, and fails each one whose number is not
/// in the job.
fn reader() -> (impl Worker<Job = Number>, mpsc::Receiver<(u32, Headers)>) {
    let (tell, told) = mpsc::channel(1_000);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.try_send((cx.attempt(), cx.headers().clone()))?;
            if job.0 == u64::from(cx.attempt()) {
                Ok(Done)
            } else {
                Err::<_, BoxError>("not yet".into())
            }
        }
    });
    (worker, told)
}

fn at_once(attempts: u32) -> Policy {
    Policy::default().attempts(attempts).backoff(Backoff::Fixed(Duration::ZERO))
}

impl Space {
    /// Enqueues a job with headers, for in an hour.
    async fn with_headers(&self, number: u64, attempts: u32) -> Receipt {
        let hour = Duration::from_secs(3600);
        let policy = at_once(attempts);
        let job = self.client.enqueue(Number(number)).after(hour).policy(policy);
        job.headers(headers()).await.unwrap()
    }

    async fn view(&self, receipt: &Receipt) -> JobView {
        self.client.job(receipt).view().await.unwrap().unwrap()
    }
}

#[tokio::test]
async fn headers_survive_a_reschedule_retries_death_an_edit_and_a_revival() {
    let space = Space::new("headers");
    let (worker, mut told) = reader();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let job = space.with_headers(9, 2).await;
    assert_eq!(space.view(&job).await.headers(), &headers());
    let ours = space.client.job(&job);
    ours.run_now().await.unwrap();
    for attempt in [1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, headers()));
    }
    space.until_count("q", "buried", 1).await;
    assert_eq!(space.view(&job).await.headers(), &headers());
    ours.revive().await.unwrap();
    for attempt in [1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, headers()));
    }
    space.until_count("q", "buried", 2).await;
    ours.edit_and_revive(&serde_json::json!(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, headers()));
    space.until_count("q", "completed", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn the_job_of_every_tick_has_the_headers_of_its_schedule() {
    let space = Space::new("headers-schedule");
    let (worker, mut told) = reader();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let schedules = space.client.schedules("q");
    let often = space.client.schedule("often", Duration::from_millis(100), Number(1));
    often.headers(headers()).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, headers()));
    schedules.pause("often").await.unwrap();
    while told.try_recv().is_ok() {}
    schedules.run_now("often").await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, headers()));
    let stored = schedules.get("often").await.unwrap().unwrap();
    assert_eq!(stored.schedule.job.headers(), &headers());
    node.stop().await;
}

/// Fails the first attempt at a batch, then buries its first entry.
#[derive(Clone)]
struct Rows(mpsc::Sender<(u32, Headers)>);

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, cx: Context) -> Result<Outcome> {
        self.0.try_send((cx.attempt(), cx.headers().clone()))?;
        batch.all().await?;
        if cx.attempt() == 1 {
            return Err("the first time".into());
        }
        batch.bury(0, "no good");
        Ok(Done)
    }
}

#[tokio::test]
async fn a_batch_has_the_headers_of_its_batcher() {
    let space = Space::new("headers-batch");
    let (tell, mut told) = mpsc::channel(1_000);
    let policy = at_once(2);
    let rows = Batcher::new("q", Rows(tell)).limit(2).policy(policy);
    let rows = headers().iter().fold(rows, |rows, (name, value)| rows.header(name, value));
    let handle = rows.handle(&space.client);
    let node = start(space.node().add(rows));
    handle.push_many([1, 2]).await.all().unwrap();
    for attempt in [1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (attempt, headers()));
    }
    space.until_count("q", "buried", 1).await;
    let dead = space.client.inspect("q").dead(None, 10).await.unwrap();
    assert_eq!(dead.jobs[0].headers(), &headers());
    node.stop().await;

    let bad = Batcher::new("other", Rows(mpsc::channel(1_000).0)).header("No", "");
    let error = space.node().add(bad).run_until(std::future::pending()).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("header \"No\""), "{error}");
}

/// Sends the headers of every job of a scheduler.
#[derive(Clone)]
struct Often(mpsc::Sender<(u32, Headers)>);

impl Periodic for Often {
    const NAME: &'static str = "q";

    async fn handle_job(&mut self, _: &str, cx: Context) -> Result<poolder::Then> {
        self.0.try_send((cx.attempt(), cx.headers().clone()))?;
        Ok(poolder::Then::Stop)
    }
}

#[tokio::test]
async fn the_jobs_of_a_scheduler_have_its_headers() {
    let space = Space::new("headers-scheduler");
    let (tell, mut told) = mpsc::channel(1_000);
    let often = Scheduler::new(Often(tell)).job("tick", Duration::from_millis(100));
    let often = headers().iter().fold(often, |often, (name, value)| often.header(name, value));
    let node = start(space.node().add(often));
    assert_eq!(within(told.recv()).await.unwrap(), (1, headers()));
    node.stop().await;
}

#[tokio::test]
async fn each_way_to_send_takes_headers_and_refuses_those_that_are_not_allowed() {
    let space = Space::new("headers-ways");
    let (client, timeout) = (&space.client, Duration::from_millis(100));
    client.enqueue(Number(1)).header("tenant", "old").headers(headers()).await.unwrap();
    client.enqueue_many([Number(2)]).headers(headers()).await.remove(0).unwrap();
    let call = client.call::<_, ()>(Number(3)).headers(headers()).timeout(timeout);
    assert!(call.await.unwrap_err().is_timeout());
    let options = EnqueueOptions::new().headers(headers());
    client.enqueue(Number(4)).options(options.clone()).await.unwrap();
    client.pool::<Number>("q").with_shared_slots(1).cast(Number(5)).options(options).await.unwrap();
    let set = client.pool_set("set");
    set.add("q").await.unwrap();
    set.cast(Number(6)).headers(headers()).await.unwrap().remove(0).1.unwrap();
    let page = client.inspect("q").ready(Lane::Normal, None, 10).await.unwrap();
    assert_eq!(page.jobs.len(), 6);
    assert!(page.jobs.iter().all(|job| *job.headers() == headers()), "{page:?}");

    let slots: QueueName = "slots".parse().unwrap();
    client.broker().define_pool(&slots, Mode::RoundRobin, 1).await.unwrap();
    let pool = client.pool::<Number>("slots");
    let cast = pool.cast(Number(1)).headers(headers()).await.unwrap();
    assert_eq!(space.view(&cast).await.headers(), &headers());
    let call = pool.call::<()>(Number(2)).headers(headers()).timeout(timeout);
    assert!(call.await.unwrap_err().is_timeout());
    let page = client.inspect("slots").ready(Lane::Normal, None, 10).await.unwrap();
    assert!(page.jobs.iter().all(|job| *job.headers() == headers()), "{page:?}");

    for error in [
        client.enqueue(Number(1)).header("No", "").await.unwrap_err(),
        client.enqueue_many([Number(1)]).header("No", "").await.remove(0).unwrap_err(),
        client.call::<_, ()>(Number(1)).header("No", "").await.unwrap_err(),
        pool.cast(Number(1)).header("No", "").await.unwrap_err(),
        client.schedule("s", timeout, Number(1)).header("No", "").await.unwrap_err(),
    ] {
        assert!(error.is_invalid() && error.to_string().contains("header \"No\""), "{error}");
    }
    assert_eq!((space.ready("q").await, space.ready("slots").await), (6, 2));
}
