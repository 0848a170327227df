//! The present state of the slots of a node: how many run a job, and which addressed slots the node
//! holds. Operators see it in the roster.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// The present state of the slots of a node.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    /// One flag per slot, true while it runs jobs, by queue. Each slot writes its own, so that no
    /// job waits for another slot.
    slots: Mutex<BTreeMap<String, Vec<Weak<AtomicBool>>>>,
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
    /// Returns the flag of a new slot of this queue.
    pub(crate) fn add_slot(&self, queue: &str) -> BusyFlag {
        let flag = Arc::new(AtomicBool::new(false));
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let of_queue = slots.entry(queue.to_owned()).or_default();
        // The slots of a pool that grows and shrinks do not add up.
        of_queue.retain(|slot| slot.strong_count() > 0);
        of_queue.push(Arc::downgrade(&flag));
        BusyFlag(flag)
    }

    /// Counts an addressed slot of this queue as held.
    pub(crate) fn hold(self: &Arc<Self>, queue: &str) -> HeldSlot {
        *self.held_by_queue().entry(queue.to_owned()).or_default() += 1;
        HeldSlot { activity: Arc::clone(self), queue: queue.to_owned() }
    }

    /// Returns the number of slots that run jobs, by queue.
    pub(crate) fn busy(&self) -> BTreeMap<String, u32> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = |slot: &&Weak<AtomicBool>| {
            slot.upgrade().is_some_and(|busy| busy.load(Ordering::Relaxed))
        };
        let count = |of_queue: &Vec<Weak<AtomicBool>>| {
            u32::try_from(of_queue.iter().filter(runs).count()).unwrap_or(u32::MAX)
        };
        slots.iter().map(|(queue, of_queue)| (queue.clone(), count(of_queue))).collect()
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
        let (one, other) = (activity.add_slot("a"), activity.add_slot("a"));
        let third = activity.add_slot("b");
        let busy = |a, b| BTreeMap::from([("a".to_owned(), a), ("b".to_owned(), b)]);
        assert_eq!(activity.busy(), busy(0, 0));
        one.set(true);
        other.set(true);
        third.set(true);
        assert_eq!(activity.busy(), busy(2, 1));
        one.set(false);
        assert_eq!(activity.busy(), busy(1, 1));
        drop((other, third));
        assert_eq!(activity.busy(), busy(0, 0), "a slot that has ended runs nothing");
        let _next = activity.add_slot("a");
        assert_eq!(activity.slots.lock().unwrap()["a"].len(), 2, "it was forgotten");
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
