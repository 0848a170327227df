use poolder_core::QueueName;

use super::*;
use crate::admin::attention::observed::{FailureRates, NewError, ServedQueue};
use crate::admin::forecast::Flow;

const NOW: Timestamp = Timestamp::from_millis(1_000_000_000);
const HOUR: Duration = Duration::from_secs(3_600);

fn node(name: &str, deploy: &str, age: Duration, kinds: &[(&str, u16)]) -> ObservedNode {
    let kinds = kinds.iter().map(|(name, version)| ((*name).to_owned(), *version)).collect();
    ObservedNode {
        name: name.into(),
        started: Some(NOW - age),
        deploy: deploy.into(),
        queues: vec![ServedQueue::new("mail".into(), Some(kinds))],
        ..ObservedNode::default()
    }
}

/// A queue in order, with a node that serves it.
fn sound() -> Observed {
    let mut queue = ObservedQueue::new(QueueName::new("mail").unwrap());
    (queue.waiting, queue.is_led, queue.dead) = (7, Some(true), (100, 10_000));
    queue.kinds = vec![(("mail.welcome".into(), 1), 7)];
    queue.oldest = Some(Duration::from_secs(400));
    queue.failures = Some(FailureRates::new((100, 1), (1_000, 9)));
    let flow =
        Flow { waiting: 7, running: 1, done_per_second: 2.0, in_per_second: 1.0, mean_run: None };
    queue.flow = Some(flow);
    Observed {
        now: NOW,
        queues: vec![queue],
        nodes: vec![node("n1", "v1", 9 * HOUR, &[("mail.welcome", 2)])],
        memory: Some((84, 100)),
        policy: "noeviction".into(),
    }
}

/// Returns the codes of what is found after a change of the sound fleet.
fn found(change: impl FnOnce(&mut Observed, &mut ObservedQueue)) -> Vec<&'static str> {
    let mut seen = sound();
    let mut queue = seen.queues.remove(0);
    change(&mut seen, &mut queue);
    seen.queues.push(queue);
    attention(&seen).iter().map(|finding| finding.code).collect()
}

#[test]
fn nothing_is_found_in_a_sound_fleet_or_where_nothing_is_known() {
    assert_eq!(attention(&sound()), []);
    assert_eq!(attention(&Observed::default()), []);
    assert_eq!(found(|_, queue| *queue = ObservedQueue::new(queue.queue.clone())), [""; 0]);
}

#[test]
fn each_rule_finds_its_fault() {
    assert_eq!(found(|seen, _| seen.nodes.clear()), ["not_served"]);
    let silence = found(|seen, _| seen.nodes[0].is_silent = true);
    assert_eq!(silence, ["not_served", "silent_node"]);
    assert_eq!(found(|_, queue| queue.is_led = Some(false)), ["no_leader"]);
    assert_eq!(found(|_, queue| queue.kinds[0].0.1 = 3), ["unknown_kind"]);
    assert_eq!(found(|_, queue| queue.kinds[0].0.0 = "other".into()), ["unknown_kind"]);
    assert_eq!(found(|_, queue| queue.paused = Some(NOW - 2 * HOUR)), ["long_pause"]);
    assert_eq!(found(|_, queue| queue.paused = Some(NOW - HOUR)), [""; 0]);
    assert_eq!(found(|_, queue| queue.dead.0 = 9_000), ["dead_full"]);
    assert_eq!(found(|_, queue| queue.dead.0 = 8_999), [""; 0]);
    assert_eq!(found(|_, queue| queue.suspects = 1), ["suspects"]);
    assert_eq!(found(|_, queue| queue.late_schedules = 1), ["late_schedules"]);
    assert_eq!(found(|seen, _| seen.memory = Some((85, 100))), ["memory"]);
    assert_eq!(found(|seen, _| seen.policy = "allkeys-lru".into()), ["eviction"]);
    let error = NewError::new("no such row".into(), "mail.welcome".into(), 3, "v2".into());
    assert_eq!(found(|_, queue| queue.new_errors.push(error)), ["new_error"]);
}

#[test]
fn a_node_that_does_not_say_its_kinds_may_know_each() {
    let silent = |seen: &mut Observed, _: &mut ObservedQueue| seen.nodes[0].queues[0].kinds = None;
    assert_eq!(found(silent), [""; 0]);
    let unknown = found(|seen, queue| {
        queue.kinds[0].0.1 = 9;
        let mut other = node("n2", "v1", HOUR, &[]);
        other.queues[0].kinds = None;
        seen.nodes.push(other);
    });
    assert_eq!(unknown, [""; 0]);
}

#[test]
fn failures_are_compared_with_the_hour_before_and_with_one_percent() {
    let failing =
        |recent, before| found(|_, queue| queue.failures = Some(FailureRates::new(recent, before)));
    assert_eq!(failing((1_000, 50), (10_000, 100)), ["failing"], "5 % after 1 %");
    assert_eq!(failing((1_000, 49), (10_000, 100)), [""; 0], "4.9 % after 1 %");
    assert_eq!(failing((1_000, 10), (0, 0)), ["failing"], "1 % after nothing");
    assert_eq!(failing((1_000, 9), (1_000, 0)), [""; 0], "0.9 %");
    assert_eq!(failing((0, 0), (1_000, 0)), [""; 0]);
    assert_eq!(failing((9, 9), (0, 0)), [""; 0], "a few failures are no rate");
    assert_eq!(failing((10, 10), (0, 0)), ["failing"]);
    assert_eq!(failing((u64::MAX, u64::MAX), (u64::MAX, u64::MAX)), [""; 0], "no overflow");
}

#[test]
fn a_queue_that_grows_needs_slots_once_its_first_job_waits_for_long() {
    let grows = |in_per_second, oldest, paused| {
        found(|_, queue| {
            queue.flow = queue.flow.map(|flow| Flow { in_per_second, ..flow });
            queue.oldest = Some(Duration::from_secs(oldest));
            queue.paused = paused;
        })
    };
    assert_eq!(grows(2.5, 301, None), ["growing"]);
    assert_eq!(grows(2.5, 300, None), [""; 0]);
    assert_eq!(grows(2.0, 301, None), [""; 0]);
    assert_eq!(grows(2.5, 301, Some(NOW)), [""; 0]);
}

#[test]
fn two_deploys_side_by_side_are_found_an_hour_after_the_second_began() {
    let mixed =
        |age| found(|seen, _| seen.nodes.push(node("n2", "v2", age, &[("mail.welcome", 2)])));
    assert_eq!(mixed(HOUR), [""; 0]);
    assert_eq!(mixed(HOUR + Duration::from_secs(1)), ["mixed_deploys"]);
}

#[test]
fn the_worst_comes_first_and_each_says_what_why_and_what_to_do() {
    let mut seen = sound();
    seen.nodes.clear();
    (seen.queues[0].suspects, seen.queues[0].waiting) = (1, 3_412);
    let found = attention(&seen);
    let text: String = found.iter().map(ToString::to_string).collect();
    let expected = "\
PROBLEM queue mail [not_served]: 3,412 jobs wait, and no living node serves the queue
  why: they wait until a node comes
  do:  start a node with a pool for this queue, in the same namespace
WARNING queue mail [suspects]: 1 suspect waits or runs
  why: nodes have died while these jobs ran; each node runs one of them at a time
  do:  look at the blast radius of each; cancel the one that kills nodes
";
    assert_eq!(text, expected);
}
