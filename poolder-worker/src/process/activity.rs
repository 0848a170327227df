//! The present state of the slots of a node: how many run a job, and which addressed slots the node
//! holds. Operators see it in the roster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The present state of the slots of a node.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// One flag per slot, true while it runs jobs. Each slot writes its own, so that no job waits
    /// for another slot.
    slots: Mutex<Vec<Weak<AtomicBool>>>,
    /// The number of addressed slots that the node holds, by queue.
    held: Mutex<BTreeMap<String, u32>>,
}

/// Says whether its slot runs jobs. The slot no longer counts once this is dropped.
#[derive(Debug)]
pub(crate) struct BusyFlag(Arc<AtomicBool>);

impl BusyFlag {
    /// Notes whether the slot runs jobs.
    pub(crate) fn set(&self, busy: bool) {
        self.0.store(busy, Ordering::Relaxed);
    }
}

/// Counts an addressed slot as held until this is dropped.
#[derive(Debug)]
pub(crate) struct HeldSlot {
    activity: Arc<Activity>,
    queue: String,
}

impl Drop for HeldSlot {
    fn drop(&mut self) {
        let mut held = self.activity.held_by_queue();
        let left = held.get(&self.queue).map_or(0, |slots| slots.saturating_sub(1));
        if left == 0 {
            held.remove(&self.queue);
        } else {
            held.insert(std::mem::take(&mut self.queue), left);
        }
    }
}

impl Activity {
    /// Returns the flag of a new slot.
    pub(crate) fn add_slot(&self) -> BusyFlag {
        let flag = Arc::new(AtomicBool::new(false));
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.push(Arc::downgrade(&flag));
        BusyFlag(flag)
    }

    /// Counts an addressed slot of this queue as held.
    pub(crate) fn hold(self: &Arc<Self>, queue: &str) -> HeldSlot {
        *self.held_by_queue().entry(queue.to_owned()).or_default() += 1;
        HeldSlot { activity: Arc::clone(self), queue: queue.to_owned() }
    }

    /// Returns the number of slots that run jobs.
    pub(crate) fn busy(&self) -> u32 {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.retain(|slot| slot.strong_count() > 0);
        let runs = |slot: &&Weak<AtomicBool>| {
            slot.upgrade().is_some_and(|busy| busy.load(Ordering::Relaxed))
        };
        u32::try_from(slots.iter().filter(runs).count()).unwrap_or(u32::MAX)
    }

    /// Returns the number of addressed slots that the node holds, by queue.
    pub(crate) fn held(&self) -> BTreeMap<String, u32> {
        self.held_by_queue().clone()
    }

    fn held_by_queue(&self) -> MutexGuard<'_, BTreeMap<String, u32>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_count_while_they_run_jobs() {
        let activity = Activity::default();
        let (one, other) = (activity.add_slot(), activity.add_slot());
        assert_eq!(activity.busy(), 0);
        one.set(true);
        other.set(true);
        assert_eq!(activity.busy(), 2);
        one.set(false);
        assert_eq!(activity.busy(), 1);
        drop(other);
        assert_eq!(activity.busy(), 0, "a slot that has ended runs nothing");
        assert_eq!(activity.slots.lock().unwrap().len(), 1);
    }

    #[test]
    fn held_slots_count_by_queue() {
        let activity = Arc::new(Activity::default());
        let (one, other) = (activity.hold("a"), activity.hold("a"));
        let third = activity.hold("b");
        assert_eq!(activity.held(), BTreeMap::from([("a".into(), 2), ("b".into(), 1)]));
        drop((one, third));
        assert_eq!(activity.held(), BTreeMap::from([("a".into(), 1)]));
        drop(other);
        assert!(activity.held().is_empty());
    }
}
