//! The history in Redis: attempts by queue, kind and period, and groups of equal errors.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    Cause, ErrorId, ErrorSample, Failure, History, HistoryRange, HistorySeries, HistoryStep, JobId,
    QueueGauges, QueueName, Timestamp,
};
use poolder_core::Partition;
use poolder_core::broker::HistoryDelta;
use poolder_core::history::{AttemptEnd, Counts, KindSums, Period};
use serde::{Deserialize, Serialize};

use crate::harness::{Number, Space, Unserved, cast_until_received, eventually, start, teller};
use crate::policies::suspect_of_a_dead_node;

/// A job of each way to end: by its text.
#[derive(Serialize, Deserialize, Debug, Clone, Job)]
#[job(kind = "ending", queue = "q")]
struct Ending(String);

async fn run(job: Ending, _: Context) -> poolder::Result<Outcome> {
    match job.0.as_str() {
        "snoozes" => Ok(Snooze(Duration::from_secs(3_600))),
        "cancels" => Ok(Cancel("pointless".into())),
        "panics" => panic!("row {} is missing", 7),
        "hangs" => std::future::pending().await,
        "waits" => {
            tokio::time::sleep(Duration::from_millis(30)).await;
            Ok(Done)
        }
        "fails" => Err("user 17 not found".into()),
        _ => Ok(Done),
    }
}

fn hour() -> HistoryRange {
    HistoryRange::last(Duration::from_secs(3_600))
}

async fn history(space: &Space, queue: Option<&str>, kind: Option<&str>) -> History {
    space.client.history(queue, kind, hour()).await.unwrap()
}

fn only(history: &History) -> &HistorySeries {
    let [series] = &history.series[..] else { panic!("{history:?}") };
    series
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_adds_each_attempt_to_the_history_and_each_error_to_its_group() {
    let space = Space::new("history");
    let policy = Policy::default().attempts(1).timeout(Duration::from_millis(300));
    let pool = Pool::new("q").size(4).policy(policy).worker(worker_fn(run));
    let ends = [
        "fine", "fine", "fine", "waits", "snoozes", "cancels", "panics", "hangs", "fails", "fails",
    ];
    for end in ends {
        space.client.enqueue(Ending(end.into())).await.unwrap();
    }
    space.client.enqueue(Unserved(1)).await.unwrap();
    let node = start(space.node().pool(pool));
    eventually("all have ended", || async {
        let view = space.overview("q").await;
        view.counter("completed") == 4 && view.dead == 4 && view.due == 2
    })
    .await;
    node.stop().await;

    let history = history(&space, Some("q"), Some("ending")).await;
    let ending = only(&history);
    assert_eq!((&*ending.queue, &*ending.kind, ending.points.len() <= 2), ("q", "ending", true));
    let attempts = &ending.total.attempts;
    assert_eq!((attempts.done, attempts.snoozed, attempts.cancelled), (4, 1, 1), "{attempts:?}");
    assert_eq!((attempts.failed, attempts.panic, attempts.timeout), (2, 1, 1), "{attempts:?}");
    assert_eq!((ending.total.died, ending.total.wait.count, ending.total.run.count), (4, 10, 10));
    let longest = ending.total.run.max;
    assert!(longest >= 262_144, "the job that hung ran for 300 ms: {longest} µs");
    let second = ending.total.run.p50;
    assert!(second < 262_144, "most have returned at once: {second} µs");

    let queue = self::history(&space, Some("q"), None).await;
    let unserved = queue.series.iter().find(|series| series.kind == "unserved").unwrap();
    assert!(unserved.total.attempts.not_for_us >= 1 && unserved.total.run.count == 0);
    assert!(self::history(&space, Some("other"), None).await.series.is_empty());

    let errors = space.client.errors().await.unwrap();
    assert_eq!(errors.len(), 3, "{errors:?}");
    let failed = errors.iter().find(|group| group.sample.cause == Cause::Error).unwrap();
    assert_eq!((failed.last_hour, &*failed.sample.message), (2, "user 17 not found"));
    assert_eq!((&*failed.sample.queue, &*failed.sample.kind), ("q", "ending"));
    assert!(failed.first_seen <= failed.last_seen && failed.sample.node.contains(':'));
    assert!(failed.sample.job.parse::<JobId>().is_ok());
    assert_eq!(failed.id, ErrorId::of("ending", &Failure::new(Cause::Error, "user 4 not found")));
    let seen = space.client.error_history(failed.id, hour()).await.unwrap();
    assert_eq!(seen.iter().map(|(_, times)| times).sum::<u64>(), 2);
    let json = serde_json::to_value(failed).unwrap();
    assert_eq!((&json["message"], &json["last_hour"]), (&"user 17 not found".into(), &2.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn slots_and_copies_are_counted_and_two_nodes_add_up() {
    let space = Space::new("history-pools");
    let mut expected = 0;
    for round in 1..=2_u64 {
        let (slot, mut slots) = teller();
        let (copy, mut copies) = teller();
        let keyed = Pool::new("keyed").mode(Mode::Phash).size(2).worker(slot);
        let spread = Pool::new("copies").mode(Mode::Broadcast).size(1).worker(copy);
        let node = start(space.node().pool(keyed).pool(spread));
        let pool = space.client.pool::<Number>("keyed");
        eventually("it is registered", || async { pool.size().await.is_ok() }).await;
        for number in 0..3 {
            pool.cast(Number(number)).key("a").await.unwrap();
            crate::harness::within(slots.recv()).await.unwrap();
        }
        let spread = space.client.pool::<Number>("copies");
        eventually("it is registered", || async { spread.size().await.is_ok() }).await;
        cast_until_received(&copies, async || drop(spread.cast(Number(9)).await.unwrap())).await;
        crate::harness::within(copies.recv()).await.unwrap();
        node.stop().await;
        expected += 3;
        let keyed = history(&space, Some("keyed"), Some("number")).await;
        let total = &only(&keyed).total;
        assert_eq!((total.attempts.done, total.wait.count), (expected, expected));
        let spread = history(&space, Some("copies"), Some("number")).await;
        assert!(only(&spread).total.attempts.done >= round);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rescue_counts_the_crash_and_a_node_without_samples_keeps_no_message() {
    let space = Space::new("history-crash");
    suspect_of_a_dead_node(&space, None).await;
    let (worker, _told) = teller();
    let node = space.node().keep_error_samples(false).pool(Pool::new("q").size(1).worker(worker));
    let node = start(node);
    eventually("it is dead", || async { space.overview("q").await.dead == 1 }).await;
    node.stop().await;
    let history = history(&space, None, None).await;
    let total = &only(&history).total;
    assert_eq!((total.attempts.crashed, total.died, total.run.count), (1, 1, 0));
    let errors = space.client.errors().await.unwrap();
    assert_eq!((errors[0].sample.cause, &*errors[0].sample.message), (Cause::Crash, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_that_is_watched_is_written_while_the_node_runs_and_none_without_it() {
    let space = Space::new("history-watched");
    space.client.watch_history().await.unwrap();
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue(Number(1)).await.unwrap();
    eventually("it is in the history", || async {
        space.client.watch_history().await.unwrap();
        history(&space, None, None).await.series.len() == 1
    })
    .await;
    node.stop().await;

    let other = Space::new("history-off");
    let (worker, mut told) = teller();
    let pool = Pool::new("q").size(1).worker(worker);
    let node = start(other.node().keep_history(false).pool(pool));
    other.client.enqueue(Number(1)).await.unwrap();
    crate::harness::within(told.recv()).await.unwrap();
    node.stop().await;
    assert!(history(&other, None, None).await.series.is_empty());
}

fn counts(done: u64) -> Counts {
    let mut sums = KindSums::default();
    (0..done).for_each(|_| sums.add_attempt(AttemptEnd::Done, Some(1_000)));
    Counts::of(&sums)
}

fn delta(kinds: impl IntoIterator<Item = (String, u64)>) -> HistoryDelta {
    let kind = |(kind, done): (String, u64)| ("q".to_owned(), kind, counts(done));
    HistoryDelta { kinds: kinds.into_iter().map(kind).collect(), errors: vec![] }
}

#[tokio::test]
async fn more_kinds_than_a_frame_holds_are_added_up_and_none_is_lost() {
    let space = Space::new("history-cap");
    let broker = space.client.broker();
    let kinds = |from: usize| delta((from..from + 300).map(|at| (format!("k{at:04}"), 1)));
    for from in [0, 300, 0] {
        broker.flush_history(&kinds(from), Timestamp::now()).await.unwrap();
    }
    let history = history(&space, None, None).await;
    let done = |series: &HistorySeries| series.total.attempts.done;
    assert_eq!((history.is_cut, history.series.iter().map(done).sum::<u64>()), (true, 900));
    assert!(history.series.len() <= 2 * 513, "a minute may have ended meanwhile");
    let first = history.series.iter().find(|series| series.kind == "k0000").map(done);
    assert_eq!(first, Some(2), "a kind that has a place keeps it");
}

#[tokio::test]
async fn a_caller_with_a_wrong_clock_adds_to_the_minute_of_the_server() {
    let space = Space::new("history-clock");
    for clock in [0, i64::MAX, -7_000_000] {
        let about = Timestamp::from_millis(clock);
        let flushed = space.client.broker().flush_history(&delta([("k".into(), 1)]), about).await;
        assert!(flushed.unwrap().now > Timestamp::from_millis(1_700_000_000_000));
    }
    assert_eq!(only(&history(&space, None, None).await).total.attempts.done, 3);
}

#[tokio::test]
async fn errors_beyond_the_limit_displace_those_that_were_seen_longest_ago() {
    let space = Space::new("history-errors");
    let letters = |at: u64| format!("{at:b}").replace('0', "x").replace('1', "y");
    for page in 0..7 {
        let error = |at: u64| {
            let failure = Failure::new(Cause::Error, letters(at));
            let sample = ErrorSample::new(("q", "k"), &failure, JobId::generate());
            (ErrorId::of("k", &failure), 1, sample)
        };
        let errors = (page * 90..page * 90 + 90).map(error).collect();
        let delta = HistoryDelta { kinds: vec![], errors };
        space.client.broker().flush_history(&delta, Timestamp::now()).await.unwrap();
    }
    let errors = space.client.errors().await.unwrap();
    assert_eq!(errors.len(), 500);
    assert!(errors.iter().any(|group| group.sample.message == letters(629)));
    let samples = format!("{}:{{roster}}:errors", space.name());
    assert_eq!(space.redis::<u64>(redis::cmd("HLEN").arg(samples)).await, 500);
}

#[tokio::test]
async fn closed_minutes_are_rolled_up_and_read_from_the_longer_frames() {
    let space = Space::new("history-roll");
    let broker = space.client.broker();
    let now = broker.flush_history(&delta([("k".into(), 3)]), Timestamp::now()).await.unwrap().now;
    let frame = |period: Period, letter: char| {
        format!("{}:{{roster}}:history:{letter}:{}", space.name(), period.number())
    };
    // Two frames of minutes in a period of ten minutes that has ended.
    let ten = Period::of(HistoryStep::TenMinutes, now).after(-1);
    let minutes: Vec<Period> = ten.parts().collect();
    let present = Period::of(HistoryStep::Minute, now);
    for minute in [minutes[2], minutes[7]] {
        let mut copy = redis::cmd("COPY");
        copy.arg(frame(present, 'm')).arg(frame(minute, 'm'));
        assert_eq!(space.redis::<u64>(&mut copy).await, 1);
    }
    let range = HistoryRange::of(HistoryStep::TenMinutes, Duration::from_secs(3 * 600));
    let before = space.client.history(Some("q"), Some("k"), range).await.unwrap();
    assert_eq!(only(&before).total.attempts.done, 9, "made of minutes while no frame is there");
    // From five to ten minutes after an even hour, the ten minutes make two hours at the same time.
    let two = Period::of(HistoryStep::TwoHours, now).after(-1);
    let is_settled = now >= two.after(1).start() + Duration::from_secs(300);
    let makes_two = is_settled && two.parts().any(|part| part == ten);
    assert_eq!(broker.roll_history(now).await.unwrap(), 1 + usize::from(makes_two));
    assert_eq!(broker.roll_history(now).await.unwrap(), 0, "it is there");
    let mark = frame(ten, 't').replace(":history:", ":history:rolled:");
    let expires: i64 = space.redis(redis::cmd("PTTL").arg(mark)).await;
    assert!(expires > 0, "the second look has left the mark its time: {expires} ms");
    for minute in [minutes[2], minutes[7]] {
        space.redis::<u64>(redis::cmd("DEL").arg(frame(minute, 'm'))).await;
    }
    let after = space.client.history(Some("q"), Some("k"), range).await.unwrap();
    assert_eq!(only(&after).total, only(&before).total);
    let kept: i64 = space.redis(redis::cmd("PTTL").arg(frame(ten, 't'))).await;
    assert!(kept > 2 * 24 * 3_600_000, "{kept} ms");
    // The frame of two hours is made of frames of ten minutes, once its parts are settled.
    let part = two.parts().nth(3).unwrap();
    space.redis::<u64>(redis::cmd("COPY").arg(frame(ten, 't')).arg(frame(part, 't'))).await;
    let later = Period::of(HistoryStep::TwoHours, now).start() + Duration::from_secs(301);
    broker.roll_history(later).await.unwrap();
    let days = HistoryRange::of(HistoryStep::TwoHours, Duration::from_secs(3 * 7_200));
    let history = space.client.history(Some("q"), None, days).await.unwrap();
    let point = only(&history).points.iter().find(|point| point.at == two.start()).unwrap();
    assert!(point.attempts.done >= 6, "{point:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deploy_is_marked_when_its_first_node_starts() {
    let space = Space::new("history-deploys");
    let mut marks = vec![];
    for (deploy, count) in [("v1", 1), ("v2", 2), ("v1", 2)] {
        let (worker, _told) = teller();
        let pool = Pool::new("q").size(1).worker(worker);
        let node = start(space.node().deploy(deploy).pool(pool));
        eventually("it is marked", || async {
            space.client.deploys().await.unwrap().len() == count
        })
        .await;
        node.stop().await;
        let found = space.client.deploys().await.unwrap();
        assert!(found.starts_with(&marks), "the first time stays: {found:?}");
        marks = found;
    }
    let names: Vec<&str> = marks.iter().map(|mark| mark.deploy.as_str()).collect();
    assert_eq!(names, ["v1", "v2"]);
    let broker = space.client.broker();
    for at in 0..110 {
        let time = Timestamp::from_millis(at);
        assert!(broker.mark_deploy(&format!("old-{at}"), time).await.unwrap());
    }
    let kept = space.client.deploys().await.unwrap();
    assert_eq!((kept.len(), &kept[99].deploy), (100, &"v2".to_owned()));
}

#[tokio::test]
async fn rubbish_in_the_frames_is_passed_over_and_replaced() {
    let space = Space::new("history-rubbish");
    let broker = space.client.broker();
    let now = broker.flush_history(&HistoryDelta::default(), Timestamp::now()).await.unwrap().now;
    for ahead in 0..2 {
        let minute = Period::of(HistoryStep::Minute, now).after(ahead).number();
        let key = format!("{}:{{roster}}:history:m:{minute}", space.name());
        let mut set = redis::cmd("HSET");
        set.arg(key).arg("q k").arg("rubbish").arg("odd").arg("x").arg(&b"\xff \xff"[..]).arg("x");
        set.arg("q far").arg(&b"\x81\x00\xa1x"[..]).arg("!zz").arg("");
        space.redis::<u64>(&mut set).await;
    }
    for (key, command) in [("errors", "HSET"), ("errors:seen", "ZADD"), ("errors:muted", "HSET")] {
        let key = format!("{}:{{roster}}:{key}", space.name());
        let mut set = redis::cmd(command);
        match command {
            "HSET" => set.arg(key).arg("0123456789ab").arg("no sample"),
            _ => set.arg(key).arg(7).arg("0123456789ab").arg(8).arg(&b"\xff"[..]),
        };
        space.redis::<u64>(&mut set).await;
    }
    assert!(history(&space, None, None).await.series.is_empty());
    assert!(space.client.errors().await.unwrap().is_empty());
    for kind in ["k", "far"] {
        broker.flush_history(&delta([(kind.into(), 2)]), now).await.unwrap();
    }
    let history = history(&space, None, None).await;
    let done: u64 = history.series.iter().map(|series| series.total.attempts.done).sum();
    assert_eq!((history.series.len(), done), (2, 4));
}

#[tokio::test]
async fn a_write_leaves_the_time_to_live_of_its_key_as_it_is() {
    let space = Space::new("history-expiry");
    let queues = format!("{}:{{roster}}:queues", space.name());
    space.client.enqueue(Unserved(1)).await.unwrap();
    let listed = || async {
        let (listed, left): (u64, i64) = space
            .redis(
                redis::cmd("EVAL")
                    .arg("return {redis.call('SCARD', KEYS[1]), redis.call('PTTL', KEYS[1])}")
                    .arg(1)
                    .arg(&queues),
            )
            .await;
        (listed, left)
    };
    eventually("it is listed", || async { listed().await == (1, -1) }).await;
    space.redis::<u64>(redis::cmd("PEXPIRE").arg(&queues).arg(600_000)).await;
    space.client.enqueue(Unserved(1)).queue("other").await.unwrap();
    eventually("the other is listed", || async { listed().await.0 == 2 }).await;
    let left = listed().await.1;
    assert!((500_000..=600_000).contains(&left), "{left} ms");
}

#[tokio::test]
async fn samples_of_queues_are_taken_once_a_minute_rolled_up_and_read() {
    let space = Space::new("history-gauges");
    let broker = space.client.broker();
    for number in 0..3 {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    space.client.enqueue(Number(9)).after(Duration::from_secs(3_600)).await.unwrap();
    let now = space.overview("q").await.now;
    let queue = QueueName::new("q").unwrap();
    let partition = Partition::first(queue.clone());
    // One of the ready jobs is claimed, and the other queue has no group.
    let mut node = space.connection("q", "node").await;
    node.exchange(&[], Some((Lane::Normal, 1)), false).await.unwrap();
    let other = Partition::first(QueueName::new("other").unwrap());
    let read: Vec<_> =
        broker.gauges(&[partition, other]).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(
        (read[0].ready, read[0].running, read[0].due, read[1]),
        (2, 1, 1, QueueGauges::default())
    );
    let mut sum = read[0].plus(&read[0]);
    sum.slots = 8;
    let queues = [(queue, sum)];
    assert!(broker.claim_sample(now).await.unwrap());
    assert!(!broker.claim_sample(now).await.unwrap(), "another node takes it");
    broker.store_sample(now, &queues).await.unwrap();
    let history = space.client.queue_history(Some("q"), hour()).await.unwrap();
    let point = history[0].points[0];
    assert_eq!((point.gauges.ready, point.gauges.due, point.gauges.slots), (4, 2, 8));
    assert_eq!(point.at, Period::of(HistoryStep::Minute, now).start());
    assert!(space.client.queue_history(Some("other"), hour()).await.unwrap().is_empty());
    assert!(space.client.queue_history(Some("a b"), hour()).await.unwrap_err().is_invalid());
    let key = |step: &str, at: Period| {
        format!("{}:{{roster}}:history:{step}:{}", space.name(), at.number())
    };
    let minute = Period::of(HistoryStep::Minute, now);
    for key in [key("queues:m", minute), key("sampled", minute)] {
        let left: i64 = space.redis(redis::cmd("PTTL").arg(&key)).await;
        assert!(left > 0, "{key}: {left}");
    }

    // The last sample of a period that has ended stands for it.
    let ten = Period::of(HistoryStep::TenMinutes, now).after(-1);
    let parts: Vec<Period> = ten.parts().collect();
    let mut copy = redis::cmd("COPY");
    copy.arg(key("queues:m", minute)).arg(key("queues:m", parts[7]));
    assert_eq!(space.redis::<u64>(&mut copy).await, 1);
    broker
        .store_sample(parts[2].start(), &[(queues[0].0.clone(), QueueGauges::default())])
        .await
        .unwrap();
    broker.roll_history(now).await.unwrap();
    for part in [parts[2], parts[7]] {
        space.redis::<u64>(redis::cmd("DEL").arg(key("queues:m", part))).await;
    }
    let range = HistoryRange::of(HistoryStep::TenMinutes, Duration::from_secs(3 * 600));
    let rolled = space.client.queue_history(None, range).await.unwrap();
    let ready = |point: &poolder::QueuePoint| (point.at, point.gauges.ready);
    let points: Vec<_> = rolled[0].points.iter().map(ready).collect();
    assert_eq!(points, [(ten.start(), 4), (ten.after(1).start(), 4)]);
    let json = serde_json::to_value(&rolled[0]).unwrap();
    assert_eq!((&json["queue"], &json["points"][0]["ready"]), (&"q".into(), &4.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_history_knows_needs_attention_in_the_status_and_the_doctor() {
    let space = Space::new("history-attention");
    let broker = space.client.broker();
    let mut sums = KindSums::default();
    for _ in 0..20 {
        sums.add_attempt(AttemptEnd::Failed, None);
    }
    let sample = |message: &str| {
        let failure = Failure::new(Cause::Error, message);
        let sample = ErrorSample::new(("q", "number"), &failure, JobId::generate());
        (ErrorId::of("number", &failure), 20, sample)
    };
    space.client.enqueue(Number(1)).await.unwrap();
    let now = space.overview("q").await.now;
    broker.mark_deploy("v1", now - Duration::from_secs(60)).await.unwrap();
    broker.mark_deploy("v2", now).await.unwrap();
    let delta = HistoryDelta {
        kinds: vec![("q".into(), "number".into(), Counts::of(&sums))],
        errors: vec![sample("no such column")],
    };
    broker.flush_history(&delta, now).await.unwrap();
    let status = space.client.status().await.unwrap();
    let codes = |findings: &[poolder::Finding]| -> Vec<&'static str> {
        findings.iter().map(|finding| finding.code).collect()
    };
    let found = codes(&status.attention);
    assert!(found.contains(&"failing") && found.contains(&"new_error"), "{status}");
    let doctor = space.client.doctor().await.unwrap();
    let found = codes(&doctor.findings);
    assert!(found.contains(&"failing") && found.contains(&"new_error"), "{doctor}");
}
