//! Unique jobs as a user has them: derived, enqueued, run by a node, and looked at.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, EnqueueOptions, JobState, Result, Stored, UniqueMode};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};
use crate::log::Log;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "report", queue = "q", attempts = 1, unique(until = "done", by = (tenant, month)))]
struct Report {
    tenant: String,
    month: u8,
    /// How the job ends: see [`worker`].
    end: String,
}

fn report(tenant: &str, end: &str) -> Report {
    Report { tenant: tenant.into(), month: 5, end: end.into() }
}

#[derive(Serialize, Deserialize, Debug, Clone, PartialEq, Job)]
#[job(kind = "index", queue = "q", unique(until = "start"))]
struct Index(u64);

/// Returns a worker that ends jobs as they say, and tells their tenants.
fn worker(tell: mpsc::Sender<String>) -> impl Worker<Job = Report> {
    worker_fn(move |job: Report, _: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.tenant).await?;
            match job.end.as_str() {
                "dies" => Err("no luck".into()),
                "cancels" => Ok(Cancel("pointless".into())),
                "result" => Ok(Outcome::result(&7_u8)?),
                "panics" => panic!("on purpose"),
                _ => Ok::<_, BoxError>(Done),
            }
        }
    })
}

async fn is_held(space: &Space, job: &Report) -> bool {
    space.client.inspect("q").unique_holder(job).await.unwrap().is_some()
}

#[tokio::test]
async fn a_second_job_of_a_key_is_not_stored_and_the_answer_names_the_first() {
    let space = Space::new("unique-twice");
    let client = &space.client;
    let first = client.enqueue(report("acme", "done")).await.unwrap();
    assert!(!first.is_duplicate());
    let second = client.enqueue(report("acme", "other data")).after(HOUR).await.unwrap();
    assert!(second.is_duplicate());
    assert!(matches!(second.stored, Stored::Duplicate(_)));
    assert_eq!(second.handle(), first.handle(), "the job that stands, at its place");
    let other = client.enqueue(report("other", "done")).await.unwrap();
    assert!(!other.is_duplicate(), "another key");
    let anyway = client.enqueue(report("acme", "done")).unique(None).await.unwrap();
    assert!(!anyway.is_duplicate());
    let per_call = client.enqueue(Number(1)).unique(Unique::until_done()).await.unwrap();
    let options = EnqueueOptions::new().unique(Unique::until_done());
    let again = client.enqueue(Number(1)).options(options).await.unwrap();
    assert_eq!((per_call.is_duplicate(), again.handle()), (false, per_call.handle()));
    let across = || Unique::until_done().by(&7).across_kinds();
    assert!(!client.enqueue(Number(2)).unique(across()).await.unwrap().is_duplicate());
    let shared = client.enqueue(report("x", "done")).unique(across()).await.unwrap();
    assert!(shared.is_duplicate(), "one key over kinds");
    assert_eq!(space.ready("q").await, 5);

    let many = [1, 2, 1, 3, 2].map(Number);
    let stored = client.enqueue_many(many).queue("many").unique(Unique::until_start()).await;
    let stored: Vec<bool> = stored.iter().map(|it| !it.as_ref().unwrap().is_duplicate()).collect();
    assert_eq!(stored, [true, true, false, true, false]);
    let once =
        || client.enqueue(Number(9)).id("nine").idempotent(HOUR).unique(Unique::until_done());
    assert!(!once().await.unwrap().is_duplicate());
    assert_eq!(once().await.unwrap().stored, Stored::Already);
    let held = client.inspect("many").unique_keys(None, 100).await.unwrap().0;
    assert!(held.len() == 3 && held.iter().all(|key| key.mode == UniqueMode::UntilStart));
}

#[tokio::test]
async fn every_end_of_a_job_frees_its_key() {
    let space = Space::new("unique-ends");
    let (tell, mut told) = mpsc::channel(100);
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker(tell))));
    for end in ["done", "result", "dies", "cancels", "panics"] {
        let job = report(end, end);
        let receipt = space.client.enqueue(job.clone()).keep_completion(HOUR).await.unwrap();
        // The end of a job without a result is an error of the wait.
        let _ = within(space.client.job(&receipt).wait::<u8>().timeout(HOUR).into_future()).await;
        assert_eq!(within(told.recv()).await.as_deref(), Some(end));
        assert!(!is_held(&space, &job).await, "{end}: the record and the key are one step");
        assert!(!space.client.enqueue(job).await.unwrap().is_duplicate(), "{end}");
        assert_eq!(within(told.recv()).await.as_deref(), Some(end));
    }
    let job = report("waits", "done");
    let receipt = space.client.enqueue(job.clone()).after(HOUR).await.unwrap();
    assert!(is_held(&space, &job).await);
    space.client.job(&receipt).bury("no").await.unwrap();
    assert!(!is_held(&space, &job).await, "a dead job holds no key");
    node.stop().await;
}

#[tokio::test]
async fn a_job_until_start_can_be_enqueued_by_its_own_handler() {
    let space = Space::new("unique-start");
    let (tell, mut told) = mpsc::channel(100);
    let handler = move |job: Index, cx: Context| {
        let tell = tell.clone();
        async move {
            let again = cx.client().enqueue(job.clone()).after(HOUR).await?;
            let third = cx.client().enqueue(job).after(HOUR).await?;
            tell.send((again.is_duplicate(), third.is_duplicate())).await?;
            Ok::<_, BoxError>(Done)
        }
    };
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker_fn(handler))));
    space.client.enqueue(Index(1)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some((false, true)));
    space.until_count("q", "completed", 1).await;
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 1));
    node.stop().await;
}

#[tokio::test]
async fn the_data_of_a_waiting_job_is_replaced_and_a_call_waits_for_the_job_that_stands() {
    let space = Space::new("unique-replace");
    let client = &space.client;
    let rule = || Unique::until_done().by(&"one").replace();
    for delay in [Duration::ZERO, HOUR] {
        let first = client.enqueue(Number(1)).unique(rule()).after(delay).await.unwrap();
        let second = client.enqueue(Number(2)).unique(rule()).await.unwrap();
        assert!(matches!(second.stored, Stored::Replaced(Some(_))), "{second:?}");
        assert_eq!(second.job, first.job);
        let view = client.job(second.handle()).view().await.unwrap().unwrap();
        assert_eq!(view.payload_json().unwrap(), serde_json::json!(2));
        assert_eq!(view.handle, second.handle(), "the answer knows the new place");
        assert_eq!(view.state == JobState::Scheduled, !delay.is_zero());
        client.job(second.handle()).cancel().await.unwrap();
    }
    assert_eq!((space.ready("q").await, space.due("q").await), (0, 0));

    let standing = client.enqueue(report("acme", "result")).await.unwrap();
    let call = client.call::<_, u8>(report("acme", "done")).timeout(HOUR);
    let calling = tokio::spawn(call.into_future());
    let (tell, _told) = mpsc::channel(100);
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker(tell))));
    assert_eq!(within(calling).await.unwrap().unwrap(), 7, "the result of {standing:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_debounced_job_is_put_off_with_the_newest_data_and_not_beyond_its_most() {
    let space = Space::new("unique-debounce");
    let rule = || Unique::debounce(HOUR).at_most(HOUR + Duration::from_millis(1)).by(&"one");
    let send = |number| space.client.enqueue(Number(number)).unique(rule());
    let first = send(1).await.unwrap();
    let Stored::Due(due) = first.stored else { panic!("{first:?}") };
    let mut last = due;
    for number in 2..6 {
        // The server's clock must advance by a millisecond.
        tokio::time::sleep(Duration::from_millis(3)).await;
        let next = send(number).await.unwrap();
        let Stored::Replaced(Some(poolder::Place::Due(due))) = next.stored else {
            panic!("{next:?}")
        };
        assert_eq!(next.job, first.job);
        last = due;
    }
    assert_eq!(last, due + Duration::from_millis(1), "not later than the most");
    let waiting = space.client.inspect("q").due(None, 10).await.unwrap().jobs;
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].payload_json().unwrap(), serde_json::json!(5));
    let error = space.client.enqueue(Number(1)).unique(rule()).after(HOUR).await.unwrap_err();
    assert!(error.is_invalid(), "{error}");
}

#[tokio::test]
async fn a_schedule_misses_a_tick_whose_key_is_held() {
    let space = Space::new("unique-schedule");
    let client = &space.client;
    let standing = client.enqueue(report("acme", "done")).await.unwrap();
    let schedule = || client.schedule("monthly", HOUR, report("acme", "done"));
    let info = schedule().await.unwrap();
    let partition = standing.partition.clone();
    let tick = async |hours: u32| {
        let at = info.next.unwrap() + HOUR * hours;
        client.broker().publish_ticks_as_of(&partition, "n1", Some(at)).await.unwrap().jobs
    };
    assert_eq!((tick(0).await, space.ready("q").await), (0, 1));
    client.job(&standing).cancel().await.unwrap();
    assert_eq!((tick(1).await, space.ready("q").await), (1, 1));
    assert!(client.enqueue(report("acme", "done")).await.unwrap().is_duplicate());
    assert_eq!(tick(2).await, 0, "the job of the tick before");
    let queued = schedule().overlap(Overlap::QueueOne).await.unwrap_err();
    assert!(queued.is_invalid(), "{queued}");
    let debounced = schedule().unique(Unique::debounce(HOUR)).await.unwrap_err();
    assert!(debounced.is_invalid(), "{debounced}");
    schedule().unique(None).overlap(Overlap::QueueOne).await.unwrap();
}

#[derive(Serialize, Deserialize, Debug, Job)]
#[job(kind = "named_only", queue = "q")]
struct Named(u64);

#[derive(Serialize, Deserialize, Debug, Job)]
#[job(kind = "named_and_ruled", queue = "q")]
struct Ruled(u64);

#[tokio::test]
async fn a_name_without_a_rule_stores_each_job_and_is_warned_of_once() {
    let space = Space::new("unique-named");
    let (log, _logging) = Log::record(tracing::Level::WARN);
    let client = &space.client;
    let ruled = || client.enqueue(Ruled(1)).id("a");
    ruled().idempotent(HOUR).await.unwrap();
    ruled().unique(Unique::until_done()).await.unwrap();
    ruled().unique(None).await.unwrap();
    ruled().after(HOUR).await.unwrap();
    client.enqueue(Ruled(2)).await.unwrap();
    assert_eq!(log.count("a name is no rule"), 0, "{}", log.text());
    let jobs = [Named(1), Named(2), Named(3)].map(|job| client.enqueue(job).id("b"));
    for job in jobs {
        assert!(!job.await.unwrap().is_duplicate(), "each is stored");
    }
    let warnings = log.lines("a name is no rule");
    assert!(warnings.len() == 1 && warnings[0].contains("WARN"), "{warnings:?}");
    assert!(warnings[0].contains("kind=\"named_only\""), "{warnings:?}");
    assert_eq!(space.ready("q").await, 7, "three of the one name, and four of the other kind");
}

#[tokio::test]
async fn jobs_for_slots_are_not_unique() -> Result<()> {
    let space = Space::new("unique-slots");
    let queue = poolder::QueueName::new("q")?;
    space.client.broker().define_pool(&queue, Mode::Phash, 2).await?;
    let pool = space.client.pool::<Report>("q");
    let error = pool.cast(report("acme", "done")).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("unique(None)"), "{error}");
    pool.cast(report("acme", "done")).unique(None).await?;
    Ok(())
}
