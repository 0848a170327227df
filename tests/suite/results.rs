//! Results, waiters, calls and progress.

use std::time::Duration;

use futures_util::StreamExt;
use poolder::prelude::*;
use poolder::{Cancellation, ErrorKind, Handle, JobResult, JobState, QueueName, Receipt};
use tokio::sync::mpsc;

use crate::harness::{Number, PATIENCE, Running, Space, eventually, start, within};
use crate::waits::calls;

/// Starts a node whose handler ends in every possible way, chosen by the number of the job.
fn variety(space: &Space) -> Running {
    let worker = worker_fn(|job: Number, _: Context| async move {
        match job.0 {
            1 => Ok(Done),
            2 => Err("no luck".into()),
            3 => Ok(Cancel("pointless".into())),
            4 => panic!("oh no"),
            n => Ok::<_, BoxError>(Outcome::result(&(n * 2))?),
        }
    });
    start(space.node().pool(Pool::new("q").size(4).worker(worker)))
}

#[tokio::test]
async fn a_call_returns_what_the_handler_did_or_says_at_once_why_not() {
    let space = Space::new("call");
    let node = variety(&space);
    let client = &space.client;
    // Far longer than these waits take: none of them may end by its time limit.
    let patience = PATIENCE * 10;
    let doubled: u64 =
        within(client.call(Number(21)).timeout(patience).into_future()).await.unwrap();
    assert_eq!(doubled, 42);
    let nothing: () = within(client.call(Number(1)).timeout(patience).into_future()).await.unwrap();
    let maybe: Option<u64> = within(client.call(Number(1)).into_future()).await.unwrap();
    assert_eq!((nothing, maybe), ((), None));

    let call = |number, attempts| {
        let policy = Policy::default().attempts(attempts).backoff(Backoff::Fixed(Duration::ZERO));
        client.call::<_, u64>(Number(number)).policy(policy).timeout(patience)
    };
    let error = within(call(1, 1).into_future()).await.unwrap_err();
    assert!(error.is_no_result() && error.to_string().contains("Outcome::result"), "{error}");
    let error = within(call(2, 2).into_future()).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("no luck"), "{error}");
    let error = within(call(4, 1).into_future()).await.unwrap_err();
    assert!(error.is_dead() && error.to_string().contains("panic: oh no"), "{error}");
    let error = within(call(3, 1).into_future()).await.unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("pointless"), "{error}");
    let job = error.job_id().unwrap();
    let handle = Handle::new(QueueName::new("q").unwrap(), job);
    assert_eq!(client.job(handle).state().await.unwrap(), Some(JobState::Cancelled));
    let wrong = client.call::<_, String>(Number(9)).timeout(patience);
    let error = within(wrong.into_future()).await.unwrap_err();
    assert!(error.is_codec() && error.to_string().contains("another type"), "{error}");
    node.stop().await;
}

#[tokio::test]
async fn a_call_that_is_given_up_goes_on_and_its_result_can_be_had() {
    let space = Space::new("late");
    let call = space.client.call::<_, u64>(Number(5)).timeout(Duration::from_secs(1));
    let error = within(call.into_future()).await.unwrap_err();
    assert!(error.is_timeout() && error.to_string().contains("continues"), "{error}");
    let handle = Handle::new(QueueName::new("q").unwrap(), error.job_id().unwrap());
    let job = space.client.job(handle);
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::Pending);
    let node = variety(&space);
    let late: u64 = job.wait().timeout(PATIENCE).await.unwrap();
    assert_eq!(late, 10);
    assert_eq!(job.result::<u64>().await.unwrap().value(), Some(10), "it is kept");
    node.stop().await;
}

#[tokio::test]
async fn the_result_of_any_job_is_kept_and_its_death_ends_a_wait() {
    let space = Space::new("results");
    let client = &space.client;
    let receipt = client.enqueue(Number(8)).await.unwrap();
    let once = Policy::default().attempts(1);
    let doomed = client.enqueue(Number(2)).policy(once).await.unwrap();
    let several = || client.job(&receipt).wait::<u64>().timeout(PATIENCE * 10);
    let death = client.job(&doomed).wait::<u64>().timeout(PATIENCE * 10);
    let node = variety(&space);
    let (one, other, death) = within(async { tokio::join!(several(), several(), death) }).await;
    assert_eq!((one.unwrap(), other.unwrap()), (16, 16));
    assert!(death.unwrap_err().is_dead(), "although no enqueue asked for a record");
    let key = space.key("q", &format!("result:{}", receipt.job));
    let left: u64 = space.redis(redis::cmd("TTL").arg(key)).await;
    assert!((86_000..=86_400).contains(&left), "{left} s");
    node.stop().await;
}

#[tokio::test]
async fn a_waiter_hears_that_its_job_was_taken_away() {
    let space = Space::new("taken");
    let client = &space.client;
    let day = Duration::from_secs(24 * 60 * 60);
    let ready = client.enqueue(Number(7)).keep_completion(day).await.unwrap();
    let due = client.enqueue(Number(7)).after(day).keep_completion(day).await.unwrap();
    let drained = client.enqueue(Number(7)).keep_completion(day).await.unwrap();
    let wait = async |receipt| client.job(receipt).wait::<u64>().timeout(PATIENCE * 10).await;
    let waits = async { tokio::join!(wait(&ready), wait(&due), wait(&drained)) };
    let take = async {
        for receipt in [&ready, &due] {
            assert_eq!(client.job(receipt).cancel().await.unwrap(), Cancellation::Removed);
        }
        assert_eq!(client.inspect("q").drain().await.unwrap(), 1);
    };
    let ((ready, due, drained), ()) = within(async { tokio::join!(waits, take) }).await;
    for end in [ready, due, drained] {
        assert!(end.unwrap_err().is_cancelled());
    }
}

#[tokio::test]
async fn a_result_says_why_there_is_none() {
    let space = Space::new("no-result");
    let client = &space.client;
    let kept = async |number| client.enqueue(Number(number)).keep_completion(PATIENCE).await;
    let receipt = client.enqueue(Number(7)).after(PATIENCE * 10).await.unwrap();
    let job = client.job(&receipt);
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::Pending);
    job.cancel().await.unwrap();
    assert_eq!(job.result::<u64>().await.unwrap(), JobResult::NotFound, "no record was asked for");
    let never = poolder::JobId::generate().in_queue("q");
    let never = client.job(never);
    assert_eq!(never.result::<u64>().await.unwrap(), JobResult::NotFound);
    let errors = [
        never.revive().await,
        never.remove().await,
        never.run_now().await,
        never.reschedule(std::time::SystemTime::now()).await,
    ];
    for error in errors.map(Result::unwrap_err) {
        assert!(error.is_not_found() && !error.is_gone(), "{error}");
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    let node = variety(&space);
    let once = Policy::default().attempts(1);
    let (value, none) = (kept(5).await.unwrap(), kept(1).await.unwrap());
    let (dies, cancels) =
        (client.enqueue(Number(2)).policy(once).await.unwrap(), kept(3).await.unwrap());
    let ends = async |receipt: &Receipt| {
        let wait = client.job(receipt).wait::<u64>().timeout(PATIENCE).await;
        (wait.is_ok(), client.job(receipt.clone()).result::<u64>().await.unwrap())
    };
    assert_eq!(ends(&value).await, (true, JobResult::Value(10)));
    assert_eq!(ends(&none).await, (false, JobResult::NoValue));
    let (_, died) = ends(&dies).await;
    assert!(
        matches!(&died, JobResult::Dead(failure) if failure.message.contains("no luck")),
        "{died:?}"
    );
    let (_, cancelled) = ends(&cancels).await;
    assert!(matches!(cancelled, JobResult::Cancelled(_)), "{cancelled:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_job_is_named_by_anything_that_means_it() {
    let space = Space::new("names");
    let client = &space.client;
    let day = Duration::from_secs(24 * 60 * 60);
    let receipt = client.enqueue(Number(1)).id("one").after(day).await.unwrap();
    let handle = Handle::from(&receipt);
    let (text, view) = (handle.to_string(), client.job(&handle).view().await.unwrap().unwrap());
    let jobs = [
        client.job(&text),
        client.job(text.as_str()),
        client.job(text.clone()),
        client.job(&view),
        client.job(receipt.job.in_queue("q")),
        client.job(Handle::named("q", "one")),
        client.job(receipt),
        client.job(handle),
    ];
    for job in jobs {
        assert_eq!(job.state().await.unwrap(), Some(JobState::Scheduled), "{job:?}");
    }
    let wrong = [client.job("q/one"), client.job(Handle::named("a b", "one"))];
    for job in wrong {
        let error = job.cancel().await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(" use "), "{error}");
        assert_eq!(job.wait::<()>().await.unwrap_err().to_string(), error.to_string());
    }
}

#[tokio::test]
async fn nothing_is_published_for_jobs_without_a_waiter() {
    let space = Space::new("quiet");
    let client = redis::Client::open(space.url()).unwrap();
    let mut pubsub = client.get_async_pubsub().await.unwrap();
    pubsub.psubscribe(format!("{}:*:result:*", space.name())).await.unwrap();
    let node = variety(&space);
    for number in [1, 3, 8] {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    space.until_count("q", "completed", 2).await;
    space.until_count("q", "cancelled", 1).await;
    let awaited = space.client.enqueue(Number(1)).keep_completion(PATIENCE).await.unwrap();
    let first = within(pubsub.on_message().next()).await.unwrap();
    assert!(first.get_channel_name().ends_with(&awaited.job.to_string()));
    node.stop().await;
}

#[tokio::test]
async fn a_wait_survives_the_loss_of_its_hints() {
    let server = poolder_devserver::Server::builder().start().unwrap();
    let space = Space::on(server.url(), "deaf");
    let calling = {
        let client = space.client.clone();
        tokio::spawn(async move { client.call::<_, u64>(Number(6)).timeout(PATIENCE * 10).await })
    };
    let listeners = || async {
        let all: String =
            space.redis(redis::cmd("CLIENT").arg("LIST").arg("TYPE").arg("pubsub")).await;
        all.lines().count()
    };
    eventually("the caller listens", || async { listeners().await == 1 }).await;
    space.redis::<u64>(redis::cmd("CLIENT").arg("KILL").arg("TYPE").arg("pubsub")).await;
    eventually("it listens again", || async { listeners().await == 1 }).await;
    let node = variety(&space);
    assert_eq!(within(calling).await.unwrap().unwrap(), 12);
    node.stop().await;
}

#[tokio::test]
async fn progress_is_told_while_a_job_runs() {
    let space = Space::new("progress");
    let (go, gone) = mpsc::channel::<()>(1);
    let gone = std::sync::Arc::new(tokio::sync::Mutex::new(gone));
    let worker = worker_fn(move |_: Number, cx: Context| {
        let gone = std::sync::Arc::clone(&gone);
        async move {
            cx.progress(3, 10).await?;
            gone.lock().await.recv().await;
            Ok::<_, BoxError>(Done)
        }
    });
    let receipt = space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(space.client.job(&receipt).progress().await.unwrap(), None);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    eventually("it tells", || async {
        space.client.job(&receipt).progress().await.unwrap() == Some((3, 10))
    })
    .await;
    go.send(()).await.unwrap();
    node.stop().await;
}

#[tokio::test]
async fn of_many_reports_the_last_is_there_when_the_job_has_ended_and_few_are_written() {
    const REPORTS: u64 = 20_000;
    let server = poolder_devserver::Server::builder().start().unwrap();
    let space = Space::on(server.url(), "reports");
    let worker = worker_fn(|_: Number, cx: Context| async move {
        let started = std::time::Instant::now();
        for done in 1..=REPORTS {
            cx.progress(done, REPORTS).await?;
        }
        Ok::<_, BoxError>(Return(u64::try_from(started.elapsed().as_millis())?))
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let mut took = 0;
    for _ in 0..3 {
        let receipt = space.client.enqueue(Number(1)).keep_completion(PATIENCE).await.unwrap();
        let job = space.client.job(&receipt);
        took += within(job.wait::<u64>().into_future()).await.unwrap();
        let progress = job.progress().await.unwrap();
        assert_eq!(progress, Some((REPORTS, REPORTS)));
    }
    // Of each job the first report, the last one, one that was on its way, and the completion.
    let most = took / 100 + 3 * 4 + 3;
    let written = calls(&server, "set");
    assert!(written <= most, "{written} writes in {took} ms");
    node.stop().await;
}
