//! Jobs that do not start after a time.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{BatchOptions, JobState, Queue, Stored, Timestamp, Why};
use poolder_core::broker::Settlement;
use poolder_core::policy::decide::{Ending, decide};
use poolder_core::{Facts, Partition};

use crate::harness::{Number, Space, start, teller, within};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

/// A job whose type says within which time it starts.
#[derive(serde::Serialize, serde::Deserialize, Debug, Job)]
#[job(kind = "quote", queue = "q", expires = "10m")]
struct Quote {
    of: u64,
}

/// A job of which only one kind expires.
#[derive(serde::Serialize, serde::Deserialize, Debug, Job)]
#[job(kind = "news", queue = "q", expires = "1h")]
enum News {
    Flash,
    #[job(expires = "none")]
    Archive,
}

fn partition() -> Partition {
    Partition::first("q".parse().unwrap())
}

async fn past(space: &Space) -> Timestamp {
    space.client.time().await.unwrap() - SECOND
}

/// Returns how far two moments are apart.
fn apart(one: Option<Timestamp>, other: Timestamp) -> Duration {
    let one = one.expect("it expires");
    one.since(other).max(other.since(one))
}

#[tokio::test]
async fn a_job_past_its_time_is_cancelled_without_a_start() {
    let space = Space::new("expired");
    let at = past(&space).await;
    let rule = Unique::until_done().by(&"one");
    let new = space.client.enqueue(Number(1)).unique(rule.clone()).keep_completion(HOUR);
    let late = new.expires_at(at).await.unwrap();
    let view = space.client.job(&late).view().await.unwrap().unwrap();
    assert_eq!(view.expires_at(), Some(at));
    let why = space.client.job(&late).explain().await.unwrap();
    assert_eq!(why.verdict, Why::Expired, "{why}");
    space.client.enqueue(Number(2)).expires_in(HOUR).await.unwrap();
    // No worker of the node knows the kind.
    let unknown = space.client.enqueue(crate::harness::Unserved(3)).expires_at(at);
    unknown.keep_completion(HOUR).await.unwrap();

    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    let error = space.client.job(&late).wait::<()>().await.unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("expired"), "{error}");
    space.until_count("q", "expired", 2).await;
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.count("q", "cancelled").await, 0);
    let again = space.client.enqueue(Number(4)).unique(rule).await.unwrap();
    assert!(!again.is_duplicate(), "its key is free");
    assert_eq!(within(told.recv()).await.unwrap().0, 4);
    node.stop().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_time_counts_from_when_the_job_is_ready_by_the_clock_of_the_server() {
    let space = Space::new("expires-in");
    let client = &space.client;
    let minutes = SECOND * 60;
    let now = client.time().await.unwrap();
    let seen = async |handle: poolder::Handle| {
        client.job(&handle).view().await.unwrap().unwrap().expires_at()
    };
    let plain = client.enqueue(Number(1)).await.unwrap().handle();
    assert_eq!(seen(plain).await, None);
    let own = client.enqueue(Quote { of: 1 }).await.unwrap().handle();
    assert!(apart(seen(own).await, now + 10 * minutes) < minutes);
    let never = client.enqueue(Quote { of: 2 }).expires_in(None).await.unwrap().handle();
    assert_eq!(seen(never).await, None);
    let flash = client.enqueue(News::Flash).await.unwrap().handle();
    assert!(apart(seen(flash).await, now + HOUR) < minutes);
    let archive = client.enqueue(News::Archive).await.unwrap().handle();
    assert_eq!(seen(archive).await, None);
    let delayed = client.enqueue(Quote { of: 3 }).after(HOUR).await.unwrap();
    let Stored::Due(due) = delayed.stored else { panic!("{delayed:?}") };
    assert!(apart(seen(delayed.handle()).await, due + 10 * minutes) < SECOND);
    let at = now + HOUR;
    let many = client.enqueue_many([Number(4), Number(5)]).expires_at(at).await;
    for receipt in many {
        assert_eq!(seen(receipt.unwrap().handle()).await, Some(at));
    }
    let error = client.enqueue(Number(6)).expires_in(Duration::ZERO).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("at least 1 ms"), "{error}");
    let longest = client.enqueue(Number(7)).expires_in(Duration::MAX).await.unwrap().handle();
    assert!(apart(seen(longest).await, now + HOUR * 24 * 3_650) < minutes);
}

#[tokio::test]
async fn an_attempt_that_has_begun_ends_the_check_wherever_the_job_waits() {
    let space = Space::new("expiry-begun");
    let at = space.client.time().await.unwrap() + HOUR;
    space.client.enqueue(Number(1)).expires_at(at).await.unwrap();
    let mut node = space.connection("q", "n1").await;
    for begun in [false, true] {
        let mut claimed = vec![];
        for lane in [Lane::Front, Lane::Normal] {
            let reply = node.exchange(&[], Some((lane, 1)), false).await.unwrap().claimed.unwrap();
            claimed.extend(reply.jobs);
        }
        let claim = claimed.pop().unwrap();
        assert_eq!(claim.expires_at(), Some(at), "it has not begun");
        // The first is handed back before its start, the second after it.
        let counters = if begun { claim.counters_at_start() } else { claim.counters.clone() };
        let next =
            decide(&Policy::default(), &counters, Ending::Released, Facts::at(Timestamp::now()));
        let end = Settlement::new(claim, "n1".into(), None, next);
        node.exchange(&[end], None, false).await.unwrap();
    }
    let reply = node.exchange(&[], Some((Lane::Front, 1)), false).await.unwrap();
    let claim = reply.claimed.unwrap().jobs.pop().unwrap();
    assert_eq!((claim.expires_at(), claim.envelope.expires_at()), (None, Some(at)));
}

#[tokio::test]
async fn expired_jobs_of_a_limited_queue_give_their_permits_back() {
    let space = Space::new("expired-limited");
    let limits = space.client.limits("q");
    limits.set(poolder::QueueLimits::new().concurrency(1).group_concurrency(1)).await.unwrap();
    let at = past(&space).await;
    for number in 0..40 {
        let group = format!("t{}", number % 3);
        space.client.enqueue(Number(number)).group(group).expires_at(at).await.unwrap();
    }
    space.client.enqueue(Number(99)).group("t0").await.unwrap();
    let (worker, mut told) = teller();
    let queue = Queue::new("q").concurrency(1).group_concurrency(1);
    let node = start(space.node().queue(queue).pool(Pool::new("q").size(4).worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 99);
    space.until_count("q", "expired", 40).await;
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    let groups: Vec<String> =
        space.redis(redis::cmd("HKEYS").arg(space.key("q", "limits:groups"))).await;
    assert_eq!(groups, ["\0"], "no group waits or runs");
    let turns: u64 = space.redis(redis::cmd("LLEN").arg(space.key("q", "limits:turns"))).await;
    assert_eq!(turns, 0);
}

#[tokio::test]
async fn jobs_of_schedules_expire_from_the_publishing_of_their_tick() {
    let space = Space::new("expiry-schedule");
    let client = &space.client;
    client.schedule("hourly", HOUR, Quote { of: 1 }).await.unwrap();
    let at = client.time().await.unwrap() + HOUR * 3;
    let published =
        client.broker().publish_ticks_as_of(&partition(), "n1", Some(at)).await.unwrap();
    assert_eq!(published.jobs, 1, "one of the missed ticks");
    let jobs = client.inspect("q").waiting(None, 9).await.unwrap().jobs;
    assert_eq!(jobs[0].expires_at(), Some(at + SECOND * 600));
    let by_hand = client.schedules("q").run_now("hourly").await.unwrap().handle();
    let expires = client.job(&by_hand).view().await.unwrap().unwrap().expires_at();
    assert!(apart(expires, client.time().await.unwrap() + SECOND * 600) < SECOND * 60);
    let error = client
        .schedule("once", HOUR, Number(1))
        .options(poolder::EnqueueOptions::new().expires_at(at))
        .await
        .unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("expires_at"), "{error}");
}

#[tokio::test]
async fn a_batch_that_is_not_started_in_time_is_cancelled_with_its_entries() {
    let space = Space::new("expiry-batch");
    let rows = space.client.batcher::<u64>("rows");
    let ms = Duration::from_millis(1);
    let options = BatchOptions::default().limit(3).timeout(None).expires_in(ms);
    rows.declare(options.clone()).await.unwrap();
    rows.push_many(0..3).await.all().unwrap();
    let again = BatchOptions::default().limit(3).timeout(None);
    let error = rows.declare(again).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("expires_in"), "{error}");
    tokio::time::sleep(ms * 2).await;
    let batcher = Batcher::new("rows", Unstarted).with_options(options);
    let node = start(space.node().add(batcher));
    space.until_count("rows", "expired", 1).await;
    node.stop().await;
    assert!(rows.sealed(10).await.unwrap().is_empty());
}

/// Fails a test whose batch starts.
#[derive(Clone)]
struct Unstarted;

impl BatchWorker for Unstarted {
    type Entry = u64;

    async fn handle_batch(&mut self, _: &mut Batch<u64>, _: Context) -> poolder::Result<Outcome> {
        panic!("it has expired")
    }
}

#[tokio::test]
async fn a_job_of_a_slot_expires_as_well() {
    let space = Space::new("expiry-slot");
    let (worker, mut told) = teller();
    let pool = Pool::new("q").mode(Mode::RoundRobin).size(1).worker(worker);
    let at = past(&space).await;
    let node = start(space.node().pool(pool));
    let slots = space.client.pool::<Number>("q");
    crate::harness::eventually("the pool is there", || async { slots.size().await.is_ok() }).await;
    let late = slots.cast(Number(1)).expires_at(at).keep_completion(HOUR).await.unwrap();
    slots.cast(Number(2)).expires_in(HOUR).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    let error = space.client.job(&late).wait::<()>().await.unwrap_err();
    assert!(error.is_cancelled() && error.to_string().contains("expired"), "{error}");
    assert_eq!(space.client.job(&late).state().await.unwrap(), Some(JobState::Cancelled));
    node.stop().await;
}
