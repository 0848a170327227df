//! The lines that a person on call reads: what each attempt did, and what comes next.

use std::time::Duration;

use poolder::prelude::*;
use tracing::Level;

use crate::harness::{Number, Space, start};
use crate::log::Log;

/// A payload that no line may show.
const SECRET: u64 = 987_654_321;

/// Asserts that a line has each of these parts.
fn assert_has(line: &str, parts: &[&str]) {
    for part in parts {
        assert!(line.contains(part), "{part:?} is missing: {line}");
    }
}

fn failing() -> impl Worker<Job = Number> {
    worker_fn(async |_: Number, cx: Context| {
        tracing::info!("the handler at work");
        match cx.attempt() {
            1 | 2 => Err::<Outcome, BoxError>("451 busy".into()),
            _ => Ok(Done),
        }
    })
}

#[tokio::test]
async fn each_attempt_is_one_line_with_what_comes_next() {
    let (log, _logging) = Log::record(Level::INFO);
    let space = Space::new("logs");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(failing())));
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::from_secs(16)));
    let job = space.client.enqueue(Number(SECRET)).policy(policy).await.unwrap();
    space.until_count("q", "retried", 1).await;
    space.client.job(&job).run_now().await.unwrap();
    space.until_count("q", "buried", 1).await;
    node.stop().await;

    let ended = log.lines("an attempt ended");
    assert_eq!(ended.len(), 2, "{}", log.text());
    let own = format!("job={}", job.job);
    let common = [" INFO poolder::job: ", "queue=\"q\"", &own, "kind=\"number\"", "max_attempts=2"];
    for (line, attempt) in ended.iter().zip(["attempt=1", "attempt=2"]) {
        assert_has(line, &common);
        assert_has(line, &[attempt, "node=\"", "slot=0", "took=", "outcome=\"failed\""]);
        assert_has(line, &["failure=error: 451 busy"]);
    }
    assert_has(&ended[0], &["next=again in 16 s"]);
    assert_has(&ended[1], &["next=dead: error: 451 busy"]);
    let died = log.lines("a job died");
    assert_eq!(died.len(), 1);
    assert_has(&died[0], &["ERROR", &own, "error: 451 busy"]);
    assert!(log.lines("an attempt starts").is_empty(), "a line per start is for DEBUG");
    assert!(!log.lines(" WARN ").iter().any(|line| line.contains(&own)), "{}", log.text());
}

#[tokio::test]
async fn lines_of_a_handler_stand_in_the_span_of_their_attempt() {
    let (log, _logging) = Log::record(Level::INFO);
    let space = Space::new("logs-span");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(failing())));
    let policy = Policy::default().attempts(3).backoff(Backoff::Fixed(Duration::ZERO));
    let job = space.client.enqueue(Number(SECRET)).policy(policy).await.unwrap();
    space.until_count("q", "completed", 1).await;
    node.stop().await;

    let lines = log.lines("the handler at work");
    assert_eq!(lines.len(), 3);
    for (line, attempt) in lines.iter().zip(["attempt=1", "attempt=2", "attempt=3"]) {
        let span = format!("process{{job={} kind=\"number\" queue=\"q\" {attempt}", job.job);
        // With the feature `otel` the span has fields of OpenTelemetry behind these.
        assert_has(line, &[&span, "max_attempts=3 node=\"", "slot=0"]);
    }
    assert_has(&log.lines("an attempt ended")[2], &["outcome=\"done\"", "next=done"]);
}

#[tokio::test]
async fn no_level_shows_a_payload_and_debug_shows_each_start() {
    let (log, _logging) = Log::record(Level::TRACE);
    let space = Space::new("logs-payload");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(failing())));
    let policy = Policy::default().attempts(2).backoff(Backoff::Fixed(Duration::ZERO));
    space.client.enqueue(Number(SECRET)).policy(policy).await.unwrap();
    space.until_count("q", "buried", 1).await;
    node.stop().await;
    let started = log.lines("an attempt starts");
    assert_eq!(started.len(), 2);
    assert_has(&started[0], &["DEBUG", "poolder::job: ", "queue=\"q\"", "waited=", "slot=0"]);
    assert!(!log.text().contains(&SECRET.to_string()), "{}", log.text());
}

#[tokio::test]
async fn each_end_says_what_comes_next() {
    let (log, _logging) = Log::record(Level::INFO);
    let space = Space::new("logs-ends");
    let worker = worker_fn(async |job: Number| match job.0 {
        1 => Outcome::Snooze(Duration::from_secs(280)),
        2 => Outcome::Cancel("no longer needed".into()),
        _ => Outcome::result(&7).unwrap(),
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    space.client.enqueue_many([Number(1), Number(2), Number(3)]).await;
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    let ended = log.lines("an attempt ended");
    assert_eq!(ended.len(), 3, "{}", log.text());
    assert_has(&ended[0], &["outcome=\"snoozed\"", "next=again in 4 min 40 s"]);
    assert_has(&ended[1], &["outcome=\"cancelled\"", "next=cancelled: no longer needed"]);
    assert_has(&ended[2], &["outcome=\"done\"", "next=done, a result of 1 bytes"]);
}

#[tokio::test]
async fn sending_settling_and_ticking_have_spans_at_debug() {
    let (log, _logging) = Log::record(Level::DEBUG);
    let space = Space::new("logs-spans");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(failing())));
    let policy = Policy::default().attempts(1);
    let job = space.client.enqueue(Number(SECRET)).policy(policy.clone()).await.unwrap();
    space.until_count("q", "buried", 1).await;
    let jobs = [Number(SECRET), Number(SECRET)];
    space.client.enqueue_many(jobs).policy(policy.clone()).await;
    let often = space.client.schedule("often", Duration::from_millis(100), Number(SECRET));
    often.policy(policy).await.unwrap();
    space.until_count("q", "buried", 4).await;
    node.stop().await;

    let new = log.lines("poolder::span: new");
    let sent = format!("send{{queue=q kind=\"number\" job={}}}", job.job);
    let attempt = format!("process{{job={} kind=\"number\" queue=\"q\"", job.job);
    let all =
        ["send{jobs=2}", "settle{partition=q.0 jobs=", "tick{schedule=\"often\" queue=q job="];
    for span in [sent.as_str(), &attempt].into_iter().chain(all) {
        assert!(new.iter().any(|line| line.contains(span)), "{span}: {}", log.text());
    }
    assert!(!log.text().contains(&SECRET.to_string()), "{}", log.text());
}
