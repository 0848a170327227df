//! Decides which waiting job goes to which free slot, and how many slots are woken.

use std::collections::VecDeque;

/// Where waiting jobs go.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Assignment<T> {
    /// Slots to wake, each with its job.
    pub(super) given: Vec<(usize, T)>,
    /// Jobs for slots that are awake: each has a free slot that is not woken.
    pub(super) offered: Vec<T>,
    /// Jobs without a free slot, in their order.
    pub(super) kept: VecDeque<T>,
    /// Suspects that cannot start. They must be released at once: if the node died of another job
    /// while it held such a suspect, the suspect would be buried for a crash that it did not cause.
    pub(super) released: Vec<T>,
}

/// Assigns the waiting jobs, the longest waiting first, to the free slots, and takes the slots of
/// the given jobs out of `free`. `offered` jobs lie ready for the awake slots already and need a
/// free slot each; at most `woken` slots are woken. `start_suspect` returns true when this suspect
/// may start; it is asked only when there is a slot for it.
pub(super) fn assign<T>(
    waiting: VecDeque<T>,
    free: &mut Vec<usize>,
    offered: usize,
    woken: usize,
    is_suspect: impl Fn(&T) -> bool,
    mut start_suspect: impl FnMut(&T) -> bool,
) -> Assignment<T> {
    let (mut given, mut left) = (vec![], vec![]);
    let (mut kept, mut released) = (VecDeque::new(), vec![]);
    let mut waiting = waiting.into_iter();
    while let Some(job) = waiting.next() {
        let room = free.len() > offered + left.len();
        if is_suspect(&job) {
            if !(room && start_suspect(&job)) {
                released.push(job);
                continue;
            }
        } else if !room {
            kept.push_back(job);
            continue;
        } else if given.len() >= woken {
            if left.is_empty() {
                left.reserve(waiting.len() + 1);
            }
            left.push(job);
            continue;
        }
        given.extend(free.pop().map(|slot| (slot, job)));
    }
    Assignment { given, offered: left, kept, released }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(
        jobs: &[&'static str],
        free: &mut Vec<usize>,
        offered: usize,
        woken: usize,
        mut permits: usize,
    ) -> Assignment<&'static str> {
        let is_suspect = |job: &&str| job.starts_with('!');
        let start = |_: &&str| {
            let may_start = permits > 0;
            permits = permits.saturating_sub(1);
            may_start
        };
        assign(jobs.iter().copied().collect(), free, offered, woken, is_suspect, start)
    }

    #[test]
    fn jobs_go_to_free_slots_in_their_order_and_the_rest_waits() {
        let mut free = vec![1, 2];
        let found = run(&["a", "b", "c", "d"], &mut free, 0, usize::MAX, 1);
        assert_eq!(found.given, [(2, "a"), (1, "b")]);
        assert_eq!((found.kept, found.offered, free), (["c", "d"].into(), vec![], vec![]));
    }

    #[test]
    fn no_more_slots_are_woken_than_asked_for_and_none_gets_two_jobs() {
        let mut free = vec![1, 2, 3, 4];
        let found = run(&["a", "b", "c", "d", "e"], &mut free, 0, 2, 1);
        assert_eq!((found.given.len(), found.offered), (2, vec!["c", "d"]));
        assert_eq!((found.kept, free), (["e"].into(), vec![1, 2]));
    }

    #[test]
    fn jobs_that_are_offered_already_keep_their_slots_free() {
        let mut free = vec![1, 2, 3];
        let found = run(&["a", "b"], &mut free, 2, usize::MAX, 1);
        assert_eq!((found.given, found.kept), (vec![(3, "a")], ["b"].into()));
        let found = run(&["a"], &mut vec![], 0, usize::MAX, 1);
        assert_eq!((found.given, found.kept), (vec![], ["a"].into()));
    }

    #[test]
    fn a_suspect_starts_with_a_permit_and_a_slot_or_is_released() {
        let found = run(&["!a", "!b", "c"], &mut vec![1, 2, 3], 0, usize::MAX, 1);
        assert_eq!((found.given, found.released), (vec![(3, "!a"), (2, "c")], vec!["!b"]));
        let found = run(&["a", "!b"], &mut vec![1], 0, usize::MAX, 1);
        assert_eq!((found.given, found.released), (vec![(1, "a")], vec!["!b"]));
    }

    #[test]
    fn a_suspect_without_a_slot_asks_for_no_permit() {
        let never = |_: &&str| -> bool { panic!("there is no slot for it") };
        let found = assign(["!a"].into(), &mut vec![], 0, 1, |_: &&str| true, never);
        assert_eq!(found.released, ["!a"]);
    }
}
