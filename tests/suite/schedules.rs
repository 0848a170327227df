//! Schedules: they tick at the right times, each tick is published once, and no change is lost.
//! Where possible the test passes the time to the server, so that hours take moments.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    Cancellation, Handle, JobId, QueueName, Schedule, ScheduleInfo, Schedules, Status, Timestamp,
};
use poolder_core::Partition;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, teller, within};

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

impl Space {
    fn schedules(&self) -> Schedules {
        self.client.schedules("q")
    }

    /// Publishes all ticks that are due at `now`. Returns how many jobs were enqueued.
    async fn publish(&self, now: Timestamp) -> u64 {
        publish(&self.client, now).await
    }

    async fn info(&self, name: &str) -> ScheduleInfo {
        self.schedules().get(name).await.unwrap().expect("it is there")
    }

    /// Returns the ids of the jobs in the normal lane.
    async fn jobs(&self) -> Vec<Vec<u8>> {
        type Entry = (String, Vec<(String, Vec<u8>)>);
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(self.key("q", "ready:normal")).arg("-").arg("+");
        let entries: Vec<Entry> = self.redis(&mut cmd).await;
        entries.into_iter().map(|(_, fields)| fields[0].1[2..18].to_vec()).collect()
    }
}

async fn publish(client: &Client, now: Timestamp) -> u64 {
    let partition = Partition::first("q".parse().unwrap());
    let mut jobs = 0;
    loop {
        let done = client.broker().publish_ticks_as_of(&partition, "n1", Some(now)).await.unwrap();
        if done.due == 0 {
            return jobs;
        }
        jobs += done.jobs;
    }
}

#[tokio::test]
async fn a_schedule_ticks_and_each_job_knows_its_time() {
    let space = Space::new("ticks");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    // However busy the machine is, no tick is dropped.
    let missed = Missed::All { most: 1_000, within: HOUR };
    let info = space.client.schedule("fast", "100ms", Number(7)).missed(missed).await.unwrap();
    assert_eq!((info.status, info.runs, info.last_job), (Status::Active, 0, None));
    let mut last = info.last;
    for _ in 0..10 {
        let (number, cx) = within(told.recv()).await.unwrap();
        let tick = cx.tick().expect("it comes from a schedule");
        assert_eq!((number, tick.schedule()), (7, "fast"));
        assert_eq!(tick.at(), last + Duration::from_millis(100), "none is left out");
        last = tick.at();
    }
    let info = space.info("fast").await;
    assert!(info.runs >= 10 && info.last_run.is_some() && info.last_job.is_some(), "{info:?}");
    assert!(info.next.is_some_and(|next| next > last));
    // A change takes effect at once, however far ahead the next tick was.
    space.client.schedule("slow", HOUR, Number(8)).await.unwrap();
    space.schedules().remove("fast").await.unwrap();
    space.client.schedule("slow", "100ms", Number(8)).await.unwrap();
    while within(told.recv()).await.unwrap().0 != 8 {}
    node.stop().await;
}

#[tokio::test]
async fn leaders_that_publish_at_once_publish_each_tick_once() {
    let space = Space::new("leaders");
    let missed = Missed::All { most: 10_000, within: HOUR };
    let mut first = None;
    for name in ["a", "b", "c"] {
        let info = space.client.schedule(name, SECOND, Number(1)).missed(missed).await.unwrap();
        first = first.max(Some(info.last));
    }
    let first = first.unwrap();
    let mut leaders = vec![];
    for leader in 0..4 {
        let client = space.client.clone();
        leaders.push(tokio::spawn(async move {
            let mut jobs = 0;
            for second in 1..=200 {
                // The leaders do not agree on the time either.
                jobs += publish(&client, first + SECOND * (second + leader % 2)).await;
            }
            jobs
        }));
    }
    let mut jobs = 0;
    for leader in leaders {
        jobs += within(leader).await.unwrap();
    }
    let ids = space.jobs().await;
    let distinct: BTreeSet<_> = ids.iter().collect();
    assert_eq!((ids.len(), distinct.len()), (603, 603));
    assert_eq!(jobs, 603, "each was counted by the one who published it");
    for name in ["a", "b", "c"] {
        let info = space.info(name).await;
        assert_eq!((info.runs, info.missed), (201, 0));
    }
}

#[tokio::test]
async fn missed_ticks_are_made_up_for_as_the_policy_says() {
    let space = Space::new("missed");
    let all = Missed::All { most: 5, within: SECOND * 3_600 * 8 };
    let mut now = Timestamp::from_millis(0);
    for (name, missed) in [("skip", Missed::Skip), ("one", Missed::One), ("all", all)] {
        let added = space.client.schedule(name, HOUR, Number(1)).missed(missed).await.unwrap();
        now = added.last + HOUR * 10 + SECOND * 60;
    }
    assert_eq!(space.publish(now).await, 6);
    for (name, runs, missed) in [("skip", 0, 10), ("one", 1, 9), ("all", 5, 5)] {
        let info = space.info(name).await;
        assert_eq!((info.runs, info.missed), (runs, missed), "{name}");
        assert!(info.next.is_some_and(|next| next > now));
    }
    assert_eq!(space.publish(now).await, 0, "once is enough");
}

#[tokio::test]
async fn ticks_keep_to_the_bounds_the_delay_and_the_lane_of_their_schedule() {
    let space = Space::new("bounds");
    let start = Timestamp::from_millis(4_000_000_000_000);
    let bounded = space.client.schedule("s", "0 * * * * *", Number(1)).lane(Lane::Low);
    let missed = Missed::All { most: 100, within: HOUR };
    let bounded = bounded.start(start).end(start + SECOND * 600).jitter(SECOND * 50);
    let info = bounded.zone("Asia/Kathmandu").missed(missed).await.unwrap();
    let first = info.next.unwrap();
    // The jitter: up to 50 s after a full minute, the same in every tick.
    let nominal = Timestamp::from_millis(4_000_000_020_000);
    let late = first.since(nominal);
    assert!(first >= nominal && late < SECOND * 50 && late > Duration::ZERO, "{info:?}");
    assert_eq!(space.publish(first - Duration::from_millis(1)).await, 0);
    assert_eq!(space.publish(first).await, 1);
    assert_eq!(space.publish(first + SECOND * 60).await, 1);
    // The tenth minute is the last before the end of the schedule; other schedules go on.
    space.client.schedule("other", "1m", Number(2)).start(first + HOUR).await.unwrap();
    assert_eq!(space.publish(first + SECOND * 1_000).await, 8);
    let info = space.info("s").await;
    assert_eq!((info.runs, info.missed, info.next, info.status), (10, 0, None, Status::Active));
    assert_eq!(space.publish(first + HOUR + SECOND).await, 1, "that of `other`");
    let low = space.client.inspect("q").ready(Lane::Low, None, 100).await.unwrap();
    assert_eq!((low.jobs.len(), space.jobs().await.len()), (10, 1));
}

/// Adds a schedule of 1 s and starts a node that claims its job. The handler ends with the outcome
/// that the test sends.
async fn held(
    space: &Space,
    overlap: Overlap,
) -> (crate::harness::Running, mpsc::Receiver<Context>, mpsc::Sender<Outcome>) {
    let (tell, told) = mpsc::channel(100);
    let (answer, answers) = mpsc::channel(100);
    let answers = std::sync::Arc::new(tokio::sync::Mutex::new(answers));
    let worker = worker_fn(move |_: Number, cx: Context| {
        let (tell, answers) = (tell.clone(), answers.clone());
        async move {
            tell.send(cx).await?;
            match answers.lock().await.recv().await {
                Some(Cancel(why)) if why == "fail" => Err::<_, BoxError>("told to fail".into()),
                answer => Ok(answer.unwrap_or(Done)),
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    // The schedule starts in half an hour, so that only the test publishes its ticks. A tick more than
    // an hour ahead of the clock would not count.
    let start = Timestamp::now() + HOUR / 2;
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(HOUR));
    let schedule = space.client.schedule("s", SECOND, Number(1)).start(start).policy(policy);
    schedule.overlap(overlap).missed(Missed::All { most: 100, within: HOUR }).await.unwrap();
    (node, told, answer)
}

#[tokio::test]
async fn a_job_that_is_under_way_lets_ticks_be_skipped_until_it_has_ended() {
    let space = Space::new("skip");
    let (node, mut told, answer) = held(&space, Overlap::Skip).await;
    let first = space.info("s").await.schedule.start.unwrap();
    assert_eq!(space.publish(first).await, 1);
    let cx = within(told.recv()).await.unwrap();
    assert_eq!(cx.tick().unwrap().at(), first);
    assert!(space.info("s").await.running);
    assert_eq!(space.publish(first + SECOND * 5).await, 0);

    // A job that waits for its retry counts as under way, too.
    answer.send(Cancel("fail".into())).await.unwrap();
    eventually("it waits for its retry", || async { space.due("q").await == 1 }).await;
    assert_eq!(space.publish(first + SECOND * 6).await, 0);
    let mut ripe = redis::cmd("ZADD");
    let id = cx.id();
    ripe.arg(space.key("q", "due")).arg(1).arg(id.as_bytes().as_slice());
    space.redis::<()>(&mut ripe).await;
    let cx = within(told.recv()).await.unwrap();
    assert_eq!((cx.id(), cx.attempt()), (id, 2));
    assert_eq!(space.publish(first + SECOND * 7).await, 0, "it runs again, as another entry");

    // The second failure buries the job: the next tick runs.
    answer.send(Cancel("fail".into())).await.unwrap();
    space.until_count("q", "buried", 1).await;
    assert!(!space.info("s").await.running);
    assert_eq!(space.publish(first + SECOND * 8).await, 1);
    assert_eq!(within(told.recv()).await.unwrap().tick().unwrap().at(), first + SECOND * 8);
    for (count, outcome) in [(1, Done), (2, Outcome::result(&1).unwrap())] {
        answer.send(outcome).await.unwrap();
        space.until_count("q", "completed", count).await;
        assert!(!space.info("s").await.running);
        let at = u32::try_from(8 + count).unwrap();
        assert_eq!(space.publish(first + SECOND * at).await, 1);
        within(told.recv()).await.unwrap();
    }
    answer.send(Cancel("no".into())).await.unwrap();
    space.until_count("q", "cancelled", 1).await;
    assert!(!space.info("s").await.running);
    assert_eq!(space.info("s").await.missed, 7);

    // The job is cancelled from outside and then fails: it is not retried, and is no longer under
    // way.
    assert_eq!(space.publish(first + SECOND * 11).await, 1);
    let cx = within(told.recv()).await.unwrap();
    space.client.job(poolder::Handle::new("q".parse().unwrap(), cx.id())).cancel().await.unwrap();
    within(cx.cancelled()).await;
    answer.send(Cancel("fail".into())).await.unwrap();
    space.until_count("q", "cancelled", 2).await;
    assert!(!space.info("s").await.running);
    node.stop().await;
}

#[tokio::test]
async fn one_tick_waits_for_the_job_under_way_and_runs_at_once_when_it_has_ended() {
    let space = Space::new("queue");
    let (node, mut told, answer) = held(&space, Overlap::QueueOne).await;
    let first = space.info("s").await.schedule.start.unwrap();
    assert_eq!(space.publish(first).await, 1);
    within(told.recv()).await.unwrap();
    for second in 1..=3 {
        space.publish(first + SECOND * second).await;
    }
    let info = space.info("s").await;
    assert!(info.running && info.queued);
    assert_eq!((info.runs, info.missed), (2, 2));
    answer.send(Done).await.unwrap();
    let cx = within(told.recv()).await.unwrap();
    assert_eq!(cx.tick().unwrap().at(), first + SECOND * 3, "the newest has waited");
    assert_eq!(space.info("s").await.last_job, Some(cx.id()));
    answer.send(Done).await.unwrap();
    space.until_count("q", "completed", 2).await;
    let info = space.info("s").await;
    assert!(!info.running && !info.queued);
    assert_eq!(space.ready("q").await, 0);
    node.stop().await;
}

fn tick_job(at: Timestamp) -> Handle {
    let queue = QueueName::new("q").unwrap();
    let job = JobId::of_tick(&queue, "s", at);
    Handle::new(queue, job)
}

#[tokio::test]
async fn a_queued_job_that_is_cancelled_does_not_run() {
    let space = Space::new("cancel-queued");
    let (node, mut told, answer) = held(&space, Overlap::QueueOne).await;
    let mut tick = space.info("s").await.schedule.start.unwrap();
    for found in [true, false] {
        assert_eq!(space.publish(tick).await, 1);
        within(told.recv()).await.unwrap();
        tick = tick + SECOND;
        assert_eq!(space.publish(tick).await, 1);
        let queued = tick_job(tick);
        if found {
            let what = space.client.job(&queued).cancel().await.unwrap();
            assert_eq!(what, Cancellation::Removed);
            assert!(!space.info("s").await.queued);
        } else {
            // As after a search that was cut off.
            let mut note = redis::cmd("ZADD");
            note.arg(space.key("q", "cancelled")).arg(1).arg(queued.job.as_bytes());
            space.redis::<()>(&mut note).await;
        }
        let ended = space.count("q", "completed").await + 1;
        answer.send(Done).await.unwrap();
        space.until_count("q", "completed", ended).await;
        let info = space.info("s").await;
        assert!(!info.running && !info.queued, "found: {found}");
        assert_eq!((space.ready("q").await, space.count("q", "cancelled").await), (0, ended));
        tick = tick + SECOND;
    }
    node.stop().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_queued_job_that_goes_with_its_schedule_is_counted() {
    let space = Space::new("drop-queued");
    let (node, mut told, answer) = held(&space, Overlap::QueueOne).await;
    let first = space.info("s").await.schedule.start.unwrap();
    assert_eq!(space.publish(first).await + space.publish(first + SECOND).await, 2);
    within(told.recv()).await.unwrap();
    assert!(space.schedules().remove("s").await.unwrap());
    assert_eq!(space.count("q", "deleted").await, 1);
    answer.send(Done).await.unwrap();
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    assert!(told.try_recv().is_err());
}

#[tokio::test]
async fn a_revived_job_is_the_running_one_of_its_schedule_again() {
    let space = Space::new("revived");
    let (node, mut told, answer) = held(&space, Overlap::Skip).await;
    let first = space.info("s").await.schedule.start.unwrap();
    assert_eq!(space.publish(first).await, 1);
    within(told.recv()).await.unwrap();
    answer.send(Cancel("fail".into())).await.unwrap();
    eventually("it waits for its retry", || async { space.due("q").await == 1 }).await;
    space.client.job(tick_job(first)).run_now().await.unwrap();
    within(told.recv()).await.unwrap();
    answer.send(Cancel("fail".into())).await.unwrap();
    space.until_count("q", "buried", 1).await;
    assert!(!space.info("s").await.running);

    space.client.job(tick_job(first)).revive().await.unwrap();
    within(told.recv()).await.unwrap();
    assert!(space.info("s").await.running);
    assert_eq!(space.publish(first + SECOND).await, 0, "its successor is skipped");
    answer.send(Done).await.unwrap();
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.publish(first + SECOND * 2).await, 1);
    within(told.recv()).await.unwrap();
    answer.send(Done).await.unwrap();
    space.until_count("q", "completed", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_was_removed_by_hand_does_not_hold_up_its_schedule() {
    let space = Space::new("by-hand");
    for (name, overlap) in [("skip", Overlap::Skip), ("queue", Overlap::QueueOne)] {
        space.client.schedule(name, SECOND, Number(1)).overlap(overlap).await.unwrap();
    }
    let first = space.info("queue").await.last;
    assert_eq!(space.publish(first + SECOND * 2).await, 2);
    assert_eq!(space.publish(first + SECOND * 4).await, 1, "one waits, one is skipped");
    space.redis::<()>(redis::cmd("DEL").arg(space.key("q", "ready:normal"))).await;
    space.publish(first + SECOND * 6).await;
    // The next tick of `skip` runs. In `queue` the waiting tick runs, and the new one waits.
    assert_eq!(space.jobs().await.len(), 2);
    assert!(space.info("queue").await.queued && space.info("skip").await.running);
}

#[tokio::test]
async fn changes_by_many_at_once_and_while_ticks_are_published_are_all_there() {
    let space = Space::new("changes");
    let missed = Missed::All { most: 10_000, within: HOUR * 100 };
    let info = space.client.schedule("s", SECOND, Number(0)).missed(missed).await.unwrap();
    let first = info.last;
    let publishing = {
        let client = space.client.clone();
        tokio::spawn(async move {
            for second in 1..=300 {
                publish(&client, first + SECOND * second).await;
            }
        })
    };
    let changing = (0..5).map(|_| {
        let schedules = space.schedules();
        tokio::spawn(async move {
            for _ in 0..10 {
                let more = |schedule: &mut Schedule| {
                    if let Missed::All { within, .. } = &mut schedule.missed {
                        *within += SECOND;
                    }
                    Ok(())
                };
                schedules.change("s", more).await.unwrap();
            }
        })
    });
    for task in changing.collect::<Vec<_>>() {
        within(task).await.unwrap();
    }
    within(publishing).await.unwrap();
    let info = space.info("s").await;
    assert_eq!(
        info.schedule.missed,
        Missed::All { most: 10_000, within: HOUR * 100 + SECOND * 50 }
    );
    assert_eq!(info.revision, 51);
    let ids: BTreeSet<_> = space.jobs().await.into_iter().collect();
    assert_eq!((ids.len(), info.runs, info.missed), (300, 300, 0), "and no tick was lost");
}

#[tokio::test]
async fn a_schedule_whose_last_job_looks_like_a_number_ticks_on() {
    let space = Space::new("digits");
    let first = space.client.schedule("s", SECOND, Number(0)).await.unwrap().last;
    let key = space.key("q", "schedules:state");
    let state: String = space.redis(redis::cmd("HGET").arg(&key).arg("s")).await;
    let (counts, _) = state.rsplit_once(' ').unwrap();
    let digits = format!("{counts} {}", "7".repeat(32));
    space.redis::<u64>(redis::cmd("HSET").arg(&key).arg("s").arg(digits)).await;
    assert_eq!(space.info("s").await.runs, 0);
    assert_eq!(publish(&space.client, first + SECOND).await, 1);
}

#[tokio::test]
async fn an_operator_adds_changes_pauses_resumes_runs_previews_lists_and_removes() {
    let space = Space::new("operator");
    let schedules = space.schedules();
    for name in ["c", "a", "b"] {
        space.client.schedule(name, "0 3 * * *", Number(1)).zone("Europe/Berlin").await.unwrap();
    }
    let names: Vec<String> =
        schedules.list().await.unwrap().into_iter().map(|info| info.name).collect();
    assert_eq!(
        (names.as_slice(), schedules.count().await.unwrap()),
        (&["a", "b", "c"].map(String::from)[..], 3)
    );

    let preview = schedules.preview("a", 400).await.unwrap();
    assert_eq!(Some(preview[0]), space.info("a").await.next);
    let days: BTreeSet<_> =
        preview.windows(2).map(|two| two[1].since(two[0]).as_secs() / 3_600).collect();
    assert_eq!(days, BTreeSet::from([23, 24, 25]), "a year has both changes of the clock");

    // New times count from now; the history stays.
    let receipt = schedules.run_now("a").await.unwrap();
    assert_eq!(space.jobs().await, [receipt.job.as_bytes()]);
    let before = space.info("a").await;
    let set = |schedule: &mut Schedule| {
        schedule.timing = "90s".parse()?;
        Ok(())
    };
    let after = schedules.change("a", set).await.unwrap();
    assert!(after.revision > before.revision && after.last >= before.last);
    assert_eq!(after.next, Some(after.last + Duration::from_secs(90)));

    let paused = schedules.pause("a").await.unwrap();
    assert_eq!((paused.status, paused.next), (Status::Paused, None));
    // A stop that is conditional on a running schedule does not replace a pause.
    let stopped =
        schedules.set_status("a", Status::Stopped).if_status(Status::Active).await.unwrap();
    assert_eq!(stopped.status, Status::Paused);
    // The other schedules may tick within the hour.
    let runs = space.info("a").await.runs;
    space.publish(after.last + HOUR).await;
    assert_eq!(space.info("a").await.runs, runs);
    assert_eq!(schedules.preview("a", 1).await.unwrap().len(), 1, "what it would do");
    let resumed = schedules.resume("a").await.unwrap();
    assert!(resumed.next.is_some() && resumed.last >= paused.last);
    assert!(schedules.remove("a").await.unwrap() && !schedules.remove("a").await.unwrap());
    assert!(schedules.get("a").await.unwrap().is_none());
    for error in [
        schedules.pause("a").await.unwrap_err(),
        schedules.run_now("a").await.unwrap_err(),
        schedules.preview("a", 1).await.unwrap_err(),
        schedules.change("a", set).await.unwrap_err(),
    ] {
        assert!(error.is_not_found() && error.to_string().contains("no schedule \"a\""), "{error}");
    }
    // All schedules of many, a page at a time.
    let many: Vec<String> = (0..250).map(|n| format!("many-{n:03}")).collect();
    for name in &many {
        space.client.schedule(name.as_str(), HOUR, Number(1)).await.unwrap();
    }
    let all = schedules.list().await.unwrap();
    assert_eq!(all.len(), 252);
    assert!(many.iter().all(|name| all.iter().any(|info| info.name == *name)));
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_the_reason_and_the_others_go_on() {
    let space = Space::new("bad");
    let add = |timing: &str| space.client.schedule("s", timing.to_owned(), Number(1));
    let past = Timestamp::from_millis(1_000);
    let refused = [
        (add("0 0 30 2 *").await, "never fires"),
        (add("0 0 0 1 1 * 2020").await, "never ticks"),
        (add("0s").await, "too short"),
        (add("every day").await, "it has 2 fields"),
        (add("1m").zone("Europe/Berln").await, "\"Europe/Berln\" is no time zone"),
        (add("1m").end(past).await, "never ticks"),
        (add("1m").start(Timestamp::now()).end(past).await, "ends before it starts"),
        (add("1m").lane(Lane::Front).await, "lane front is Poolder's own"),
        (add("1m").queue("a b").await, "queue name \"a b\" is not allowed"),
        (add("1m").missed(Missed::All { most: 0, within: HOUR }).await, "at most 0"),
        (space.client.schedule("x".repeat(129), "1m", Number(1)).await, "use 1 to 128"),
        (space.client.schedule("", "1m", Number(1)).await, "schedule name \"\" is not allowed"),
        (space.client.schedule("s", Duration::ZERO, Number(1)).await, "too short"),
        (space.client.schedule("s", 0, Number(1)).await, "too short"),
    ];
    for (result, why) in refused {
        let error = result.expect_err(why);
        assert!(error.is_invalid() && error.to_string().contains(why), "{why}: {error}");
    }
    assert_eq!(space.schedules().count().await.unwrap(), 0, "nothing was stored");

    // A kind that no worker runs, and a schedule that this version cannot read.
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.schedule("unserved", "50ms", crate::harness::Unserved(1)).await.unwrap();
    space.client.schedule("newer", "50ms", Number(2)).await.unwrap();
    let mut spoil = redis::cmd("HSET");
    spoil.arg(space.key("q", "schedules")).arg("newer").arg("\u{0}\u{3}abc");
    space.redis::<()>(&mut spoil).await;
    let mut ghost = redis::cmd("ZADD");
    ghost.arg(space.key("q", "schedules:next")).arg(1).arg("ghost");
    space.redis::<()>(&mut ghost).await;
    space.client.schedule("good", "50ms", Number(1)).await.unwrap();
    for _ in 0..10 {
        while within(told.recv()).await.unwrap().0 != 1 {}
    }
    let error = space.schedules().get("newer").await.unwrap_err();
    assert!(error.is_codec(), "{error}");
    assert_eq!(space.schedules().list().await.unwrap().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn only_the_clock_of_the_server_counts() {
    // A wrong clock of a node or client would show in the first tick and in the time up to which
    // ticks are decided.
    let space = Space::new("clock");
    let (seconds, _): (i64, i64) = space.redis(&mut redis::cmd("TIME")).await;
    let info = space.client.schedule("s", HOUR, Number(1)).await.unwrap();
    let at = Timestamp::from_millis(seconds * 1_000);
    assert!(info.last.since(at) < SECOND * 60 && at.since(info.last) < SECOND * 2, "{info:?}");
    assert_eq!(info.next, Some(info.last + HOUR));
}

#[tokio::test]
async fn schedules_tick_all_over_a_cluster_and_while_their_slot_moves() {
    let cluster = poolder_devserver::Cluster::start(3, 0).unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(cluster.url(), "ticking-cluster");
    let (worker, mut told) = teller();
    let mut node = space.node();
    let mut first = std::collections::BTreeMap::new();
    let all = Missed::All { most: 1_000, within: HOUR };
    for (number, queue) in (0..).zip(["q", "a", "b"]) {
        node = node.pool(Pool::new(queue).size(4).worker(worker.clone()));
        for (name, overlap) in [("allow", Overlap::Allow), ("queue", Overlap::QueueOne)] {
            let schedule = space.client.schedule(name, "100ms", Number(number)).queue(queue);
            let added = schedule.missed(all).overlap(overlap).await.unwrap();
            first.entry(queue).or_insert(added.last);
        }
    }
    let node = start(node);
    let slot: u16 = cluster.nodes()[0]
        .command(&["CLUSTER", "KEYSLOT", &space.key("q", "due")])
        .unwrap()
        .parse()
        .unwrap();
    let owner = cluster.nodes().iter().position(|node| {
        let count = node.command(&["CLUSTER", "COUNTKEYSINSLOT", &slot.to_string()]);
        count.is_ok_and(|count| count != "0")
    });
    let from = owner.expect("it holds the schedules of `q`");
    let next = (from + 1) % 3;
    cluster.move_slot(slot, &cluster.nodes()[from], &cluster.nodes()[next]).unwrap();
    // Ten ticks after the move, of each of the six schedules.
    let now = space.info("allow").await.now;
    let mut seen = std::collections::BTreeMap::new();
    while seen.values().filter(|count| **count >= 10).count() < 6 {
        let (number, cx) = within(told.recv()).await.unwrap();
        let tick = cx.tick().unwrap();
        if tick.at() > now {
            *seen.entry((number, tick.schedule().to_owned())).or_insert(0) += 1;
        }
    }
    for (queue, first) in first {
        let schedules = space.client.schedules(queue);
        let allow = schedules.get("allow").await.unwrap().unwrap();
        let ticks = allow.last.since(first).as_millis() / 100;
        assert_eq!((u128::from(allow.runs), allow.missed), (ticks, 0), "each once: {allow:?}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_schedule_whose_last_tick_lies_a_month_ahead_goes_on_from_now() {
    let space = Space::new("ahead");
    let month = Duration::from_secs(30 * 86_400);
    for name in ["hourly", "paused", "second"] {
        space.client.schedule(name, "1h", Number(7)).await.unwrap();
    }
    space.schedules().pause("paused").await.unwrap();
    let before = space.info("hourly").await;
    let far = before.now + month;
    assert_eq!(space.publish(before.now + HOUR).await, 2);
    assert_eq!(space.publish(before.now + HOUR + HOUR / 2).await, 0);
    let partition = Partition::first("q".parse().unwrap());
    let resume = || space.client.broker().resume_ticks(&partition, None);
    assert_eq!(resume().await.unwrap(), 0, "a tick within the hour is not published twice");
    assert_eq!(space.publish(far).await, 2);
    assert!(space.info("hourly").await.next.unwrap() > far);
    assert_eq!(resume().await.unwrap(), 2);
    for name in ["hourly", "second"] {
        let info = space.info(name).await;
        assert!(info.next.unwrap() <= info.now + HOUR, "{:?} at {:?}", info.next, info.now);
        assert!(info.last <= info.now);
    }
    assert_eq!(space.info("paused").await.next, None);
    assert_eq!(resume().await.unwrap(), 0);
    assert_eq!(space.publish(before.now + 2 * HOUR).await, 2, "and they tick");
}
