use poolder_core::QueueName;

use super::*;
use crate::admin::attention::attention;

const NOW: Timestamp = Timestamp::from_millis(1_764_503_000_000);

fn ago(minutes: u64) -> Timestamp {
    NOW - Duration::from_secs(minutes * 60)
}

fn minute(queue: &str, ago_minutes: u64, ended: u64, failed: u64) -> Minute {
    Minute { queue: queue.into(), at: ago(ago_minutes), ended, failed }
}

fn error(message: &str, first_seen: Timestamp, last_hour: u64) -> SeenError {
    let (queue, kind) = ("mail".into(), "mail.welcome".into());
    let message = message.into();
    SeenError { queue, kind, message, first_seen, last_hour, is_muted: false }
}

/// Returns the codes and texts of what the rules find of the queue `mail`.
fn found(past: &Past, oldest: u64) -> Vec<(&'static str, String)> {
    let mut queue = ObservedQueue::new(QueueName::new("mail").unwrap());
    queue.oldest = Some(Duration::from_secs(oldest));
    let mut seen = Observed { now: NOW, queues: vec![queue], ..Observed::default() };
    past.add_to(&mut seen);
    attention(&seen).into_iter().map(|finding| (finding.code, finding.what)).collect()
}

#[test]
fn nothing_is_found_without_a_past() {
    assert_eq!(found(&Past::default(), 400), []);
}

#[test]
fn failures_of_the_last_quarter_are_compared_with_the_hour_before() {
    let minutes = vec![minute("mail", 74, 1_000, 9), minute("mail", 15, 1_000, 1)];
    let mut past = Past { minutes, ..Past::default() };
    past.minutes.push(minute("mail", 76, 1_000, 1_000));
    past.minutes.push(minute("other", 1, 1_000, 1_000));
    assert_eq!(found(&past, 0), [], "the hour before is no finding, and another queue is not");
    past.minutes.extend([minute("mail", 14, 500, 20), minute("mail", 0, 500, 30)]);
    let texts = found(&past, 0);
    assert_eq!(texts[0].0, "failing");
    assert_eq!(texts[0].1, "5.0 % of 1,000 attempts failed, 0.5 % in the hour before");
}

#[test]
fn a_queue_grows_when_more_jobs_wait_than_some_minutes_ago() {
    let sample = |minutes, waiting| Sample { at: ago(minutes), waiting, running: 4 };
    let past = |samples: &[Sample]| {
        let samples = BTreeMap::from([("mail".into(), samples.to_vec())]);
        Past { samples, ..Past::default() }
    };
    let codes = |past: &Past, oldest| -> Vec<&str> {
        found(past, oldest).into_iter().map(|(code, _)| code).collect()
    };
    let grows = past(&[sample(40, 9_999), sample(14, 100), sample(1, 200)]);
    assert_eq!(codes(&grows, 400), ["growing"]);
    assert_eq!(codes(&grows, 200), [""; 0], "its first job has not waited for long");
    let shrinks = past(&[sample(40, 0), sample(14, 200), sample(1, 100)]);
    assert_eq!(codes(&shrinks, 400), [""; 0]);
    let close = past(&[sample(4, 100), sample(1, 200)]);
    assert_eq!(codes(&close, 400), [""; 0], "two samples that are close say nothing");
    let old = past(&[sample(60, 100), sample(20, 200)]);
    assert_eq!(codes(&old, 400), [""; 0], "no sample is recent");
    let mut flows = grows;
    flows.minutes = vec![minute("mail", 14, 50, 0), minute("mail", 5, 26, 0)];
    let queue = ObservedQueue::new(QueueName::new("mail").unwrap());
    let flow = flows.flow(&queue, NOW).unwrap();
    assert_eq!((flow.waiting, flow.running), (200, 4));
    assert!((flow.done_per_second - 26.0 / 780.0).abs() < 1e-9, "{flow:?}");
    assert!((flow.in_per_second - 126.0 / 780.0).abs() < 1e-9, "{flow:?}");
}

#[test]
fn errors_are_new_when_they_were_first_seen_after_the_last_deploy() {
    let mut past = Past { deploys: vec![("v1".into(), ago(600))], ..Past::default() };
    past.errors = vec![error("old", ago(500), 7), error("new", ago(9), 3)];
    past.errors.push(error("new, and gone", ago(10), 0));
    assert_eq!(found(&past, 0), [], "with one deploy nothing was before it");
    past.deploys.push(("v2".into(), ago(30)));
    let texts = found(&past, 0);
    assert_eq!(texts.len(), 1, "{texts:?}");
    assert_eq!(texts[0].0, "new_error");
    assert!(texts[0].1.contains("3 times") && texts[0].1.ends_with("since deploy v2: new"));
    past.errors.extend((0..20).map(|at| error(&format!("e{at}"), ago(3), 10 + at)));
    assert_eq!(found(&past, 0).len(), MOST_ERRORS);
    past.deploys[1].1 = ago(25 * 60);
    past.errors = vec![error("new", ago(9), 3)];
    assert_eq!(found(&past, 0), [], "the deploy is a day old");
}

#[test]
fn muted_errors_are_counted_and_found_no_other_way() {
    let minutes = vec![minute("mail", 40, 1_000, 0), minute("mail", 3, 1_000, 60)];
    let mut past = Past { minutes, ..Past::default() };
    past.deploys = vec![("v1".into(), ago(600)), ("v2".into(), ago(30))];
    past.errors = vec![error("new", ago(9), 55), error("other", ago(400), 5)];
    let codes =
        |past: &Past| -> Vec<&str> { found(past, 0).into_iter().map(|(code, _)| code).collect() };
    assert_eq!(codes(&past), ["failing", "new_error"]);
    past.errors[0].is_muted = true;
    past.muted = vec![("other".into(), ago(3), 55)];
    assert_eq!(codes(&past), ["failing", "muted_errors"], "that of another queue is no help");
    past.muted = vec![("mail".into(), ago(3), 55), ("mail".into(), ago(80), 1_000)];
    assert_eq!(codes(&past), ["muted_errors"]);
    // More of them than attempts failed, as another node may not have written its counts yet.
    past.muted = vec![("mail".into(), ago(3), u64::MAX), ("mail".into(), ago(4), u64::MAX)];
    assert_eq!(found(&past, 0), [("muted_errors", "1 error is muted".to_owned())]);
}
