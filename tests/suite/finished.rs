//! Finished jobs that a pool keeps, so that operators can look at them.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Filter, Handle, JobState, JobView, Listing};

use crate::harness::{Number, Space, eventually, start, within};

const DAY: Duration = Duration::from_secs(86_400);

/// A pool that keeps some finished jobs. Its handler ends as the number says.
fn pool(count: u32) -> Pool {
    let worker = worker_fn(async |Number(number): Number, _: Context| match number {
        1 => Ok(Cancel("not today".into())),
        2 => Err(BoxError::from("told to fail")),
        3 => Ok(Outcome::result(&7)?),
        _ => Ok(Done),
    });
    Pool::new("q")
        .size(2)
        .policy(Policy::default().attempts(1))
        .keep_finished(count, DAY)
        .worker(worker)
}

/// A worker whose attribute says how many jobs are kept.
#[derive(Clone)]
struct Keeper;

#[poolder::pool(name = "q", size = 1, keep_finished(count = 5, age = "1d"))]
impl Worker for Keeper {
    type Job = Number;

    async fn handle_job(&mut self, _: Number, _: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

async fn kept(space: &Space) -> Vec<JobView> {
    space.client.inspect("q").finished(None, 500).await.unwrap().jobs
}

#[tokio::test(flavor = "multi_thread")]
async fn a_finished_job_is_found_listed_and_explained() {
    let space = Space::new("finished");
    let client = &space.client;
    let node = start(space.node().pool(pool(100)));
    let mut jobs = vec![];
    for number in 0..4 {
        jobs.push(Handle::from(&client.enqueue(Number(number)).await.unwrap()));
    }
    eventually("three are kept", || async { kept(&space).await.len() == 3 }).await;
    let name = client.nodes().await.unwrap()[0].name.clone();
    let done = client.job(&jobs[0]).view().await.unwrap().unwrap();
    assert_eq!((done.state, done.node.as_deref()), (JobState::Completed, Some(&*name)));
    assert_eq!(done.payload_json().unwrap(), 0);
    let end = done.end.as_ref().unwrap();
    assert!(end.reason.is_none() && end.took < Duration::from_secs(60), "{end:?}");
    let cancelled = client.job(&jobs[1]).view().await.unwrap().unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert_eq!(cancelled.end.unwrap().reason.as_deref(), Some("not today"));
    // A dead job is among the dead alone.
    assert_eq!(client.job(&jobs[2]).state().await.unwrap(), Some(JobState::Dead));
    let view = client.inspect("q").overview().await.unwrap();
    assert_eq!((view.finished, view.dead), (3, 1));

    for handle in &jobs[..2] {
        let explained = client.job(handle).explain().await.unwrap();
        let text = explained.to_string();
        assert!(text.contains(&*name) && text.contains("after a run of"), "{text}");
        let sighting = client.find(handle.job).await.unwrap();
        assert_eq!(sighting.job.map(|job| job.id()), Some(handle.job));
    }
    let filter: Filter = "kind=number payload=1".parse().unwrap();
    let queue = client.inspect("q");
    let found = queue.find_where(Listing::Finished, &filter, None, Default::default()).await;
    let found = found.unwrap();
    assert_eq!((found.jobs.len(), found.looked_at, found.of), (1, 3, 3));
    // Nothing can be done with it any more, and its result is kept by itself.
    let error = client.job(&jobs[0]).run_now().await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(queue.bulk(Listing::Finished, &filter, poolder::Action::Delete).await.is_err());
    assert_eq!(client.job(&jobs[3]).wait::<u64>().await.unwrap(), 7);
    within(node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_the_last_jobs_are_kept_and_a_stop_writes_them() {
    let space = Space::new("finished-last");
    let mut last = vec![];
    for round in 0..3 {
        let node = start(space.node().pool(pool(5)));
        for number in 0..4 {
            last.push(space.client.enqueue(Number(10 + number)).await.unwrap().job);
        }
        space.until_count("q", "completed", 4 * (round + 1)).await;
        node.stop().await;
    }
    let ids: Vec<_> = kept(&space).await.iter().map(JobView::id).collect();
    assert_eq!(ids.len(), 5);
    assert!(last[8..].iter().all(|job| ids.contains(job)), "{ids:?} has the last four");
    let [times, bodies] = ["finished", "finished:bodies"].map(|rest| space.key("q", rest));
    let bodies: u64 = space.redis(redis::cmd("HLEN").arg(bodies)).await;
    assert_eq!(bodies, 5);
    let left: i64 = space.redis(redis::cmd("PTTL").arg(&times)).await;
    assert!(left > 0 && left <= 86_400_000, "{left}");
    // Jobs that are too old go with the next write.
    let ids: Vec<Vec<u8>> = space.redis(redis::cmd("ZRANGE").arg(&times).arg(0).arg(-1)).await;
    for id in ids {
        space.redis::<()>(redis::cmd("ZADD").arg(&times).arg(1_000).arg(id)).await;
    }
    let node = start(space.node().add(Keeper));
    let job = space.client.enqueue(Number(20)).await.unwrap().job;
    eventually("the old ones are dropped", || async {
        kept(&space).await.iter().map(JobView::id).collect::<Vec<_>>() == [job]
    })
    .await;
    within(node.stop()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_keeps_none_unless_it_is_told_to() {
    let space = Space::new("finished-off");
    let pool = Pool::new("q").size(1).worker(worker_fn(async |_: Number, _: Context| Done));
    let node = start(space.node().pool(pool));
    let job = space.client.enqueue(Number(1)).await.unwrap();
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    assert_eq!(space.client.job(&job).view().await.unwrap(), None);
    let keys = ["finished", "finished:bodies"].map(|rest| space.key("q", rest));
    let stored: u64 = space.redis(redis::cmd("EXISTS").arg(&keys)).await;
    assert_eq!(stored, 0);
    for (count, age) in [(0, DAY), (10_001, DAY), (1, Duration::ZERO)] {
        let node = space.node().pool(self::pool(1).keep_finished(count, age));
        let error = node.run_until(async {}).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("keep_finished"), "{error}");
    }
}

#[tokio::test]
async fn records_that_cannot_be_read_are_shown_as_they_are() {
    let space = Space::new("finished-rubbish");
    let id = poolder::JobId::generate();
    let [times, bodies] = ["finished", "finished:bodies"].map(|rest| space.key("q", rest));
    let at = redis::cmd("ZADD").arg(&times).arg(5).arg(id.as_bytes()).to_owned();
    space.redis::<()>(&mut at.clone()).await;
    space.client.enqueue(Number(1)).await.unwrap();
    for rubbish in [&b"\x00"[..], b"\xff\xff", b"\x00\x01\xc1rest"] {
        let mut put = redis::cmd("HSET");
        put.arg(&bodies).arg(id.as_bytes()).arg(rubbish);
        space.redis::<()>(&mut put).await;
        let view = space.client.job(id.in_queue("q")).view().await.unwrap().unwrap();
        assert_eq!((view.state, view.raw()), (JobState::Completed, Some(rubbish)));
        assert_eq!(kept(&space).await[0].raw(), Some(rubbish));
    }
}
