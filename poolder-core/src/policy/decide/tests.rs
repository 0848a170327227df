use super::*;
use crate::job::{Limited, Timestamp};

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

fn run(policy: &Policy, counters: &Counters, ending: Ending) -> Transition {
    decide(policy, counters, ending, Facts::at(NOW))
}

fn error(verdict: Verdict) -> Ending {
    Ending::Failed(Failure::new(Cause::Error, "no"), verdict)
}

fn fresh() -> Counters {
    Counters::starting_in(Lane::Normal)
}

#[test]
fn an_attempt_fails_until_the_last_one_buries_the_job() {
    let policy = Policy::default().attempts(3);
    let mut counters = fresh();
    for attempt in 1..=3 {
        match run(&policy, &counters, error(Verdict::Policy)) {
            Transition::Later { delay, counters: next, why: Wait::Retry } => {
                assert!(attempt < 3, "the third attempt is the last");
                assert_eq!(delay, policy.backoff.delay(attempt, 0.0));
                counters = next;
            }
            Transition::Bury { counters } => {
                assert_eq!((attempt, counters.failures, counters.deliveries), (3, 3, 3));
                return;
            }
            other => panic!("{other:?}"),
        }
    }
    panic!("never buried");
}

#[test]
fn a_verdict_stands_over_the_policy_but_not_over_the_number_of_attempts() {
    let policy = Policy::default();
    let wait = Duration::from_secs(5);
    assert!(matches!(
        run(&policy, &fresh(), error(Verdict::Backoff(wait))),
        Transition::Later { delay, .. } if delay == wait
    ));
    assert!(matches!(run(&policy, &fresh(), error(Verdict::Halt)), Transition::Bury { .. }));
    let again = run(&policy, &fresh(), error(Verdict::RetryNow));
    assert!(matches!(again, Transition::RunAgain(counters) if counters.failures == 1));
    let last = Policy::default().attempts(1);
    for verdict in [Verdict::RetryNow, Verdict::Backoff(wait), Verdict::Policy] {
        let fate = run(&last, &fresh(), error(verdict));
        assert!(matches!(fate, Transition::Bury { .. }), "{verdict:?}: {fate:?}");
    }
}

#[test]
fn a_retry_that_would_start_too_late_buries() {
    let policy = Policy::default()
        .backoff(crate::job::Backoff::Fixed(Duration::from_secs(10)))
        .retry_for(Duration::from_secs(15));
    let Transition::Later { counters, .. } = run(&policy, &fresh(), error(Verdict::Policy)) else {
        panic!("10 s after the first failure is in time");
    };
    let later = NOW + Duration::from_secs(10);
    let fate = decide(&policy, &counters, error(Verdict::Policy), Facts::at(later));
    assert!(matches!(fate, Transition::Bury { .. }), "{fate:?}");
}

#[test]
fn snoozing_and_releasing_count_no_attempt() {
    let wait = Duration::from_secs(3);
    let Transition::Later { delay, counters, why } =
        run(&Policy::default(), &fresh(), Ending::Outcome(Outcome::Snooze(wait)))
    else {
        panic!("a snooze waits");
    };
    assert_eq!((delay, why, counters.failures, counters.crashes), (wait, Wait::Snooze, 0, 0));
    let Transition::Ready { lane, counters, .. } =
        run(&Policy::default(), &fresh(), Ending::Released)
    else {
        panic!("a released job is ready");
    };
    assert_eq!(lane, Lane::Front);
    assert_eq!((counters.failures, counters.crashes, counters.deliveries), (0, 0, 1));
}

#[test]
fn a_limit_counts_no_attempt_until_it_was_met_too_often() {
    let wait = Duration::from_secs(30);
    let limited = |limited: Limited| Ending::Outcome(Outcome::Limited(limited.at_most(2)));
    let mut counters = fresh();
    for why in [Wait::HoldGroup, Wait::HoldQueue] {
        let met = match why {
            Wait::HoldGroup => Limited::group(wait),
            _ => Limited::queue(wait),
        };
        let fate = run(&Policy::default(), &counters, limited(met));
        let Transition::Later { delay, counters: next, why: found } = fate else {
            panic!("it waits: {fate:?}");
        };
        assert_eq!((delay, found, next.failures), (wait, why, 0));
        counters = next;
    }
    assert_eq!(counters.deliveries, 2);
    let fate = run(&Policy::default(), &counters, limited(Limited::group(wait)));
    let Transition::Later { counters, why: Wait::Retry, .. } = fate else {
        panic!("the third time in a row is a failure: {fate:?}");
    };
    assert_eq!(counters.failures, 1);
    let fate = run(&Policy::default(), &counters, limited(Limited::group(wait)));
    let again = matches!(fate, Transition::Later { why: Wait::HoldGroup, .. });
    assert!(again, "a failure begins the row anew: {fate:?}");
}

#[test]
fn only_a_suspect_is_buried_for_crashing() {
    let policy = Policy::default();
    let mut counters = fresh();
    for lane in [Lane::Front, Lane::Suspect] {
        match run(&policy, &counters, Ending::Crashed("n1".into())) {
            Transition::Ready { lane: to, counters: next, why: Return::Rescue } => {
                assert_eq!(to, lane);
                counters = next;
            }
            other => panic!("{other:?}"),
        }
    }
    let Transition::Bury { counters } = run(&policy, &counters, Ending::Crashed("n3".into()))
    else {
        panic!("the third crash buries");
    };
    let reason = counters.last_failure.map(|failure| failure.to_string()).unwrap_or_default();
    assert_eq!(reason, "crash: node n3 died while it ran (crash 3)");

    // A limit of 2 must not bury a job that has not yet run as a suspect.
    let strict = Policy::default().crashes(2);
    let mut counters = fresh();
    counters.crashes = 1;
    let fate = run(&strict, &counters, Ending::Crashed("n2".into()));
    assert!(matches!(fate, Transition::Ready { lane: Lane::Suspect, .. }), "{fate:?}");
}

#[test]
fn a_job_of_unknown_kind_waits_longer_each_time_but_never_over_a_minute() {
    let mut counters = fresh();
    let mut waits = vec![];
    for _ in 0..8 {
        let Transition::Later { delay, counters: next, .. } =
            run(&Policy::default(), &counters, Ending::UnknownKind)
        else {
            panic!("it waits");
        };
        waits.push(delay.as_secs());
        counters = next;
    }
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
    assert_eq!(counters.failures, 0);
}

#[test]
fn every_failure_and_crash_is_noted_with_its_node_and_duration() {
    let took = Duration::from_millis(90);
    let facts = Facts { now: NOW, took, node: "n1", jitter: 0.0 };
    let Transition::Later { counters, .. } =
        decide(&Policy::default(), &fresh(), error(Verdict::Policy), facts)
    else {
        panic!("it waits");
    };
    let crash = Ending::Crashed("n2".into());
    let Transition::Ready { counters, .. } =
        decide(&Policy::default(), &counters, crash, Facts::at(NOW))
    else {
        panic!("a rescued job is ready");
    };
    let attempts = counters.attempts();
    let seen: Vec<_> =
        attempts.iter().map(|it| (it.cause, it.node.as_str(), it.took, it.at)).collect();
    let none = Duration::ZERO;
    assert_eq!(seen, [(Cause::Error, "n1", took, NOW), (Cause::Crash, "n2", none, NOW)]);
    assert_ne!(attempts[0].fingerprint, attempts[1].fingerprint);
}

#[test]
fn times_at_the_end_of_time_do_not_overflow() {
    let policy = Policy::default().retry_for(Duration::MAX);
    let end = Facts::at(Timestamp::from_millis(i64::MAX));
    let wait = error(Verdict::Backoff(Duration::MAX));
    let fate = decide(&policy, &fresh(), wait, end);
    assert!(matches!(fate, Transition::Later { .. }), "{fate:?}");
}
