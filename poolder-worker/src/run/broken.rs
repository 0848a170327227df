//! The settlements whose script calls raise errors. A group of them is settled one by one, so that
//! one settlement does not hold up the others. A settlement that raises an error alone, again and
//! again, is replaced by a plainer one, and at last given up. Pure: knows neither the server nor a
//! clock.

use std::collections::HashMap;
use std::time::Duration;

use poolder_core::broker::Settlement;
use poolder_core::mutation::mutated;
use poolder_core::policy::Pauses;
use poolder_core::policy::decide::Transition;
use poolder_core::{Cause, Error, Failure};

use super::mailbox::EntryKey;
use crate::process::limits::request_pauses;

/// How often a settlement is tried alone before a plainer one takes its place.
const MAX_TRIES: u32 = 3;

/// The settlements whose last call raised an error.
#[derive(Default)]
pub(super) struct BrokenSettlements(HashMap<EntryKey, Tries>);

/// The tries of a settlement alone.
struct Tries {
    failed: u32,
    pauses: Pauses,
}

impl Tries {
    fn none() -> Self {
        Self { failed: 0, pauses: request_pauses() }
    }
}

/// The next try of a settlement whose call raised an error.
#[derive(Debug)]
pub(super) enum NextTry {
    /// The settlement again, alone, after a pause.
    Same(Settlement, Duration),
    /// The transition of the job without the effects of these names, at once.
    WithoutEffects(Settlement, Vec<&'static str>),
    /// The burial of the job, at once.
    Burial(Settlement),
    /// None: the server still holds the entry for its consumer.
    GiveUp(Settlement),
}

impl NextTry {
    pub(super) fn settlement(&self) -> &Settlement {
        match self {
            Self::Same(it, _)
            | Self::WithoutEffects(it, _)
            | Self::Burial(it)
            | Self::GiveUp(it) => it,
        }
    }
}

impl BrokenSettlements {
    /// Decides about a settlement whose call raised this error.
    pub(super) fn raised(&mut self, settlement: Settlement, error: &Error) -> NextTry {
        let key = key_of(&settlement);
        let Some(tries) = self.0.get_mut(&key) else {
            // The error may be that of another settlement of the same call.
            self.0.insert(key, Tries::none());
            let again = if mutated("settle-alone") { settlement } else { settlement.isolated() };
            return NextTry::Same(again, Duration::ZERO);
        };
        tries.failed = tries.failed.saturating_add(1);
        // Operators can grant a missing permission. No part of a job is given up for it.
        if error.is_auth() || tries.failed < MAX_TRIES || mutated("settle-plainer") {
            return NextTry::Same(settlement, tries.pauses.after_failure());
        }
        *tries = Tries::none();
        let effects = settlement.effect_names();
        if !effects.is_empty() {
            return NextTry::WithoutEffects(settlement.without_effects(), effects);
        }
        if let Transition::Bury { .. } = settlement.transition() {
            self.0.remove(&key);
            return NextTry::GiveUp(settlement);
        }
        let reason = format!("the job cannot be settled: {error}");
        NextTry::Burial(settlement.into_burial(Failure::new(Cause::Error, reason)))
    }

    /// Forgets the tries of a settlement that the server has answered.
    pub(super) fn answered(&mut self, key: &EntryKey) {
        if !self.0.is_empty() {
            self.0.remove(key);
        }
    }
}

/// Returns the entry that is settled.
pub(super) fn key_of(settlement: &Settlement) -> EntryKey {
    let (lane, entry) = settlement.entry();
    (lane, entry.clone())
}

#[cfg(test)]
mod tests {
    use poolder_core::policy::decide::{Return, Wait};
    use poolder_core::{
        BatchPayload, Claim, Counters, Envelope, Format, JobId, Lane, Undecodable, payload,
    };

    use super::*;
    use crate::process::limits::FIRST_PAUSE;

    /// Returns the settlement of a job of this kind, with the payload of a batch.
    fn settlement(kind: &str, transition: Transition) -> Settlement {
        let batch =
            BatchPayload { group: String::new(), entries: 1, bytes: 1, since: 1, sealed: 1 };
        let write = |out: &mut Vec<u8>| payload::encode(&batch, out);
        let id = JobId::from_bytes([7; 16]);
        let envelope = Envelope::build(id, kind, 0, None, Format::MessagePack, write).unwrap();
        let claim = Claim::new(Lane::Normal, "1-0".into(), envelope, Counters::default());
        Settlement::new(claim, "node".into(), None, transition)
    }

    fn error() -> Error {
        Error::unknown("WRONGTYPE")
    }

    /// Lets a settlement fail until a plainer one takes its place, and returns the pauses before
    /// its tries.
    fn exhaust(broken: &mut BrokenSettlements, mut it: Settlement) -> (Vec<Duration>, NextTry) {
        let mut pauses = vec![];
        loop {
            match broken.raised(it, &error()) {
                NextTry::Same(again, pause) => {
                    assert!(again.is_isolated());
                    pauses.push(pause);
                    it = again;
                }
                next => return (pauses, next),
            }
        }
    }

    #[test]
    fn a_job_that_cannot_be_settled_loses_its_effects_then_is_buried_then_given_up() {
        let mut broken = BrokenSettlements::default();
        let result = Transition::CompleteWith(b"42".to_vec());
        let (pauses, next) = exhaust(&mut broken, settlement("poolder.batch/rows", result));
        assert_eq!(pauses, [Duration::ZERO, FIRST_PAUSE, FIRST_PAUSE * 2]);
        let NextTry::WithoutEffects(plain, names) = next else { panic!("{next:?}") };
        assert_eq!(names, ["result", "batch"]);
        assert!(!plain.is_plain_completion(), "it leaves the list to the pruner");
        let (_, next) = exhaust(&mut broken, plain);
        let NextTry::WithoutEffects(plain, names) = next else { panic!("{next:?}") };
        assert_eq!(names, ["list of the batch"]);
        assert_eq!((plain.transition(), plain.effect_names().len()), (&Transition::Complete, 0));
        assert!(plain.is_plain_completion() && plain.is_isolated());
        let (pauses, next) = exhaust(&mut broken, plain);
        assert_eq!(pauses, [FIRST_PAUSE, FIRST_PAUSE * 2]);
        let NextTry::Burial(burial) = next else { panic!("{next:?}") };
        let Transition::Bury { counters } = burial.transition() else { panic!("{burial:?}") };
        let reason = counters.last_failure.as_ref().unwrap().to_string();
        assert!(reason.contains("WRONGTYPE"), "{reason}");
        let (pauses, next) = exhaust(&mut broken, burial);
        assert_eq!(pauses.len(), 2);
        assert!(matches!(next, NextTry::GiveUp(_)), "{next:?}");
        assert!(broken.0.is_empty(), "its tries are forgotten");
    }

    #[test]
    fn a_job_that_is_moved_is_buried_with_its_counters() {
        let mut counters = Counters::starting_in(Lane::High);
        counters.failures = 3;
        for transition in [
            Transition::Later { delay: FIRST_PAUSE, counters: counters.clone(), why: Wait::Retry },
            Transition::Ready {
                lane: Lane::Front,
                counters: counters.clone(),
                why: Return::Release,
            },
        ] {
            let (_, next) = exhaust(&mut BrokenSettlements::default(), settlement("k", transition));
            let NextTry::Burial(burial) = next else { panic!("{next:?}") };
            let Transition::Bury { counters: found } = burial.transition() else { panic!() };
            assert_eq!((found.failures, found.home()), (3, Lane::High));
        }
    }

    #[test]
    fn an_entry_that_cannot_even_be_buried_is_given_up() {
        let found = Undecodable {
            lane: Lane::Normal,
            entry: "1-0".into(),
            id: JobId::from_bytes([1; 16]),
            reason: Failure::new(Cause::Undecodable, "no job"),
            raw: vec![],
            unread: None,
            group: None,
        };
        let burial = Settlement::bury_undecodable(found, "node".into());
        let (_, next) = exhaust(&mut BrokenSettlements::default(), burial);
        assert!(matches!(next, NextTry::GiveUp(_)), "{next:?}");
    }

    #[test]
    fn nothing_is_given_up_for_a_missing_permission() {
        let mut broken = BrokenSettlements::default();
        let denied = Error::auth("no permission");
        let mut it = settlement("poolder.batch/rows", Transition::Complete);
        for _ in 0..20 {
            let next = broken.raised(it, &denied);
            let NextTry::Same(again, _) = next else { panic!("{next:?}") };
            it = again;
        }
        assert_eq!(it.effect_names(), ["batch"]);
    }

    #[test]
    fn a_settlement_that_was_answered_has_its_tries_again() {
        let mut broken = BrokenSettlements::default();
        let it = settlement("k", Transition::Complete);
        broken.raised(it.clone(), &error());
        broken.answered(&key_of(&it));
        let next = broken.raised(it, &error());
        assert!(matches!(next, NextTry::Same(_, Duration::ZERO)), "{next:?}");
    }
}
