//! Property tests of stored schedules: their records, and the state that the scripts keep.

use proptest::prelude::*;

use crate::hostile::{bytes, cases};
use crate::job::Timestamp;
use crate::schedule::{Record, StoredState};

/// The most jobs that a plan is asked for; no plan may hold more.
const CHUNK: usize = 7;

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_schedule_is_refused_or_can_be_planned_at_any_time(
        bytes in bytes(), last in any::<i64>(), now in any::<i64>(), spread in 0.0..=1.0,
    ) {
        let Ok(record) = Record::decode(&bytes) else { return Ok(()) };
        prop_assert!(record.schedule.check().is_ok());
        let again = Record::decode(&record.encode().unwrap()).unwrap();
        prop_assert_eq!(&again.schedule, &record.schedule);
        for (last, now) in [(last, now), (now.saturating_sub(90_000), now), (0, 1_800_000_000_000)] {
            let (last, now) = (Timestamp::from_millis(last), Timestamp::from_millis(now));
            let plan = record.schedule.plan(record.origin, last, now, spread, CHUNK);
            prop_assert!(plan.run.len() <= CHUNK);
        }
    }

    #[test]
    fn any_state_of_a_schedule_is_refused_or_read(
        text in prop_oneof![".{0,80}", "-?[0-9]{1,20} -?[0-9]{1,20} [0-9]{1,20} [0-9 -]{1,60}"],
    ) {
        let Ok(state) = StoredState::parse(&text) else { return Ok(()) };
        prop_assert!(text.split(' ').count() >= 5);
        let revision = text.split(' ').next().and_then(|part| part.parse::<i64>().ok()).unwrap();
        prop_assert_eq!(state.revision, u64::try_from(revision).unwrap_or(0));
    }
}

#[test]
fn the_corpus_holds_schedules_that_can_be_read() {
    let readable = super::seeds().iter().filter(|seed| Record::decode(seed).is_ok()).count();
    assert!(readable >= 3, "only {readable} schedules of the corpus can be read");
}
