//! The last runs of a schedule: when they were due, who published them, and how they ended.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{JobId, QueueName, RunOutcome, ScheduleInfo, ScheduleRun, Timestamp};
use poolder_core::Partition;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, within};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// Adds a schedule that ticks every minute, and begins in half an hour. Returns its first tick.
async fn every_minute(space: &Space, overlap: Overlap) -> Timestamp {
    let begin = Timestamp::now() + HOUR / 2;
    let schedule = space.client.schedule("s", MINUTE, Number(1)).start(begin).overlap(overlap);
    let missed = Missed::All { most: 100, within: HOUR };
    schedule.policy(Policy::default().attempts(1)).missed(missed).await.unwrap();
    begin
}

async fn publish(space: &Space, now: Timestamp) {
    let partition = Partition::first("q".parse().unwrap());
    space.client.broker().publish_ticks_as_of(&partition, "n1", Some(now)).await.unwrap();
}

async fn info(space: &Space) -> ScheduleInfo {
    space.client.schedules("q").get("s").await.unwrap().expect("it is there")
}

/// Returns the runs, the latest first.
async fn runs(space: &Space) -> Vec<ScheduleRun> {
    info(space).await.last_runs
}

fn job_of(tick: Timestamp) -> JobId {
    JobId::of_tick(&QueueName::new("q").unwrap(), "s", tick)
}

/// Returns how the runs ended, the latest first.
fn ends(runs: &[ScheduleRun]) -> Vec<Option<RunOutcome>> {
    runs.iter().map(|run| run.end.as_ref().map(|end| end.how)).collect()
}

/// Returns a pool whose worker ends each job as the test says.
fn told(answers: mpsc::Receiver<Outcome>) -> Pool {
    let answers = std::sync::Arc::new(tokio::sync::Mutex::new(answers));
    let worker = worker_fn(move |_: Number, _: Context| {
        let answers = answers.clone();
        async move {
            match answers.lock().await.recv().await {
                Some(Cancel(why)) if why == "fail" => Err::<_, BoxError>("told to fail".into()),
                answer => Ok(answer.unwrap_or(Done)),
            }
        }
    });
    Pool::new("q").size(1).worker(worker)
}

#[tokio::test]
async fn each_run_says_when_and_by_whom_it_was_published_and_how_it_ended() {
    let space = Space::new("runs");
    let first = every_minute(&space, Overlap::Allow).await;
    assert_eq!(runs(&space).await, []);
    publish(&space, first + MINUTE * 3).await;
    let waiting = runs(&space).await;
    let ticks: Vec<Timestamp> = waiting.iter().map(|run| run.tick).collect();
    assert_eq!(ticks, [first + MINUTE * 3, first + MINUTE * 2, first + MINUTE, first]);
    assert_eq!(ends(&waiting), [None; 4]);
    for run in &waiting {
        assert_eq!((run.job, &*run.published_by, run.missed), (job_of(run.tick), "n1", 0));
    }

    let (answer, answers) = mpsc::channel(9);
    for outcome in [Done, Cancel("fail".into()), Cancel("not today".into())] {
        answer.send(outcome).await.unwrap();
    }
    let node = start(space.node().pool(told(answers)));
    eventually("three have ended", || async {
        ends(&runs(&space).await).iter().flatten().count() == 3
    })
    .await;
    let ended = runs(&space).await;
    let all = [RunOutcome::Cancelled, RunOutcome::Dead, RunOutcome::Completed].map(Some);
    assert_eq!(ends(&ended), [&[None], &all[..]].concat());
    let end = ended[3].end.as_ref().unwrap();
    let name = space.client.nodes().await.unwrap()[0].name.clone();
    assert_eq!(end.node.as_deref(), Some(&*name));
    assert!(end.at >= ended[3].published, "{ended:?}");

    // A dead job that is revived ends again.
    space.client.job(job_of(first + MINUTE).in_queue("q")).revive().await.unwrap();
    answer.send(Done).await.unwrap();
    answer.send(Outcome::result(&7).unwrap()).await.unwrap();
    let done = Some(RunOutcome::Completed);
    eventually("both are done", || async {
        ends(&runs(&space).await) == [done, Some(RunOutcome::Cancelled), done, done]
    })
    .await;
    within(node.stop()).await;
    // The runs go with the schedule.
    assert!(space.client.schedules("q").remove("s").await.unwrap());
    let left: u64 = space.redis(redis::cmd("EXISTS").arg(space.key("q", "schedules:runs"))).await;
    assert_eq!(left, 0);
}

#[tokio::test]
async fn only_the_last_ten_runs_are_kept() {
    let space = Space::new("ten-runs");
    let first = every_minute(&space, Overlap::Allow).await;
    publish(&space, first + MINUTE * 6).await;
    publish(&space, first + MINUTE * 24).await;
    let kept = runs(&space).await;
    let ticks: Vec<Timestamp> = kept.iter().map(|run| run.tick).collect();
    let last = (15..=24).rev().map(|minute| first + MINUTE * minute).collect::<Vec<_>>();
    assert_eq!(ticks, last);
    assert_eq!(info(&space).await.runs, 25);
}

#[tokio::test]
async fn ticks_without_a_job_are_counted_with_the_run_before_them() {
    let space = Space::new("runs-missed");
    let first = every_minute(&space, Overlap::Skip).await;
    publish(&space, first + MINUTE * 3).await;
    let one = runs(&space).await;
    assert_eq!((one.len(), one[0].tick, one[0].missed), (1, first, 3));
    let space = Space::new("runs-replaced");
    let first = every_minute(&space, Overlap::QueueOne).await;
    publish(&space, first + MINUTE * 3).await;
    let four = runs(&space).await;
    let replaced = Some(RunOutcome::Replaced);
    assert_eq!(ends(&four), [None, replaced, replaced, None]);
    assert_eq!(four[1].end.as_ref().unwrap().node, None);
    assert_eq!(info(&space).await.missed, 2);
}

#[tokio::test]
async fn runs_that_cannot_be_read_keep_no_schedule_from_its_ticks() {
    let space = Space::new("runs-rubbish");
    let first = every_minute(&space, Overlap::Allow).await;
    let key = space.key("q", "schedules:runs");
    for (tick, rubbish) in ["\n\n", "x 1 2", "\u{ff}", &"run ".repeat(5_000)].iter().enumerate() {
        space.redis::<()>(redis::cmd("HSET").arg(&key).arg("s").arg(*rubbish)).await;
        assert_eq!(runs(&space).await, []);
        publish(&space, first + MINUTE * u32::try_from(tick).unwrap()).await;
        assert_eq!(runs(&space).await.len(), 1, "{rubbish:.9}");
    }
    // A key of another type stays as it is.
    space.redis::<()>(redis::cmd("DEL").arg(&key)).await;
    space.redis::<()>(redis::cmd("SET").arg(&key).arg("mine")).await;
    publish(&space, first + MINUTE * 9).await;
    assert_eq!((info(&space).await.runs, runs(&space).await), (10, vec![]));
    let kept: String = space.redis(redis::cmd("GET").arg(&key)).await;
    assert_eq!(kept, "mine");
}
