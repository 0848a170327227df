//! The counts of nodes.

use poolder::{Cause, ErrorId, ErrorSample, Failure, Timestamp};
use poolder_core::broker::HistoryDelta;
use poolder_core::history::{AttemptEnd, Counts, KindSums};

use super::inject::{NOTHING, Tolerated};
use super::{Lab, id_of};

pub(super) const SCRIPTS: &[&str] = &["history/flush"];

fn delta() -> HistoryDelta {
    let mut sums = KindSums::default();
    sums.add_attempt(AttemptEnd::Failed, Some(1_000));
    let counts = Counts::of(&sums);
    let failure = Failure::new(Cause::Error, "no such user");
    let id = ErrorId::of("welcome", &failure);
    let sample = ErrorSample::new(("q", "welcome"), &failure, id_of(1));
    HistoryDelta {
        kinds: vec![
            ("q".into(), "welcome".into(), counts.clone()),
            ("q".into(), "digest".into(), counts),
        ],
        errors: vec![(id, 1, sample)],
    }
}

#[tokio::test]
async fn an_error_in_a_flush_loses_counts_and_nothing_else() {
    let mut lab = Lab::start();
    for known in [false, true] {
        lab.reset();
        let now = Timestamp::now();
        if known {
            lab.broker().flush_history(&delta(), now).await.unwrap();
        }
        let fault = lab.snapshot();
        lab.broker().flush_history(&delta(), now).await.unwrap();
        // The broker never repeats a flush: repeated here, it counts twice. Counts and errors are
        // two steps, and the other frame and the key of the watchers are only looked at.
        let but = Tolerated {
            repeated: &["history:m:"],
            taken: &["history:m:", "watched"],
            steps: true,
            ..NOTHING
        };
        lab.inject_but("history/flush", &format!("known: {known}"), fault, but);
    }
    lab.finish(SCRIPTS);
}
