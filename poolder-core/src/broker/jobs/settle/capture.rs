//! Applies settlements to the queue of a test.

use super::effect::Effect;
use super::settlement::{RetryPlacement, Settled, Settlement};
use crate::captured::{BatchChange, Captured};
use crate::policy::decide::{Transition, Wait};

impl Settlement {
    /// Applies the settlement to the queue of a test.
    pub(super) fn capture(&self, captured: &Captured) -> Settled {
        let blocks = self.addressed.as_ref().is_some_and(|addressed| {
            addressed.retry == RetryPlacement::BlockSlot
                && matches!(self.transition, Transition::Later { why: Wait::Retry, .. })
        });
        let changes: Vec<_> = self.effects.iter().filter_map(change_of).collect();
        match captured.settle(&self.subject.entry, &self.transition, blocks, &changes) {
            true => Settled::Applied,
            false => Settled::Fenced,
        }
    }
}

/// Returns the change of a batch; `None` for a charge, since the queue of a test has no rates.
fn change_of(effect: &Effect) -> Option<BatchChange<'_>> {
    Some(match effect {
        Effect::Charge(_) => return None,
        Effect::KeepEntries(part) => BatchChange::Keep(part),
        Effect::BuryEntries { part, id, failure } => BatchChange::Bury { part, id: *id, failure },
    })
}
