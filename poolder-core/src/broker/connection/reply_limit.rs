//! Decides how many bytes a reply may have, and how many items to ask for. Pure: reads no clock.

use std::time::{Duration, Instant};

use crate::mutation::mutated;

/// The most bytes that a reply with several items may have.
const FULL: usize = 4 << 20;
/// A lost reply of at most this size was most likely not lost because of its size.
pub(in crate::broker) const SMALL: usize = 64 << 10;
/// The time after which a limit that was halved doubles again.
const RECOVERY: Duration = Duration::from_secs(5 * 60);
/// The time for which items are asked for one by one, after small replies were lost in a row.
const SINGLE: Duration = Duration::from_secs(10);
/// The number of replies with one and the same item that are lost before the item is left unread.
pub(in crate::broker) const MAX_TRIES: u32 = 4;

/// How many bytes the replies of a server may have: a reply that is too large for the server's
/// output buffer, for the line or for the time limit is lost, and would be lost again.
#[derive(Debug)]
pub(in crate::broker) struct ReplyLimit {
    most: usize,
    /// When `most` was halved or doubled.
    changed: Option<Instant>,
    /// `most` and `changed` before the last reply was lost, until another one has come.
    before: Option<(usize, Option<Instant>)>,
    /// Until when one item is asked for at a time.
    single_until: Option<Instant>,
    /// The number of replies in a row that were lost.
    lost: u32,
    /// The size of an item whose reply was lost although it was alone, and how often.
    alone: Option<(usize, u32)>,
}

impl Default for ReplyLimit {
    fn default() -> Self {
        Self { most: FULL, changed: None, before: None, single_until: None, lost: 0, alone: None }
    }
}

impl ReplyLimit {
    /// Returns the most bytes of a reply with several items; 1 while items are asked for one by
    /// one. A reply with one item may be larger.
    pub(in crate::broker) fn most(&mut self, now: Instant) -> usize {
        if self.changed.is_some_and(|at| now.duration_since(at) >= RECOVERY) {
            self.most = (self.most * 2).min(FULL);
            self.changed = (self.most < FULL).then_some(now);
            self.alone = None;
        }
        if self.single_until.is_some_and(|until| now < until) { 1 } else { self.most }
    }

    /// Returns true when a reply was lost lately, so that the sizes of items have to be known
    /// before they are asked for.
    pub(in crate::broker) fn is_reduced(&mut self, now: Instant) -> bool {
        self.most(now) < FULL
    }

    /// Returns the size from which items are left unread, since each reply with one was lost.
    pub(in crate::broker) fn unread_from(&self) -> Option<usize> {
        self.alone.and_then(|(bytes, times)| (times >= MAX_TRIES).then_some(bytes))
    }

    /// Notes a reply with items of this many bytes in all.
    pub(in crate::broker) fn came(&mut self, bytes: usize) {
        (self.lost, self.before) = (0, None);
        self.alone = self.alone.filter(|(size, _)| *size > bytes);
    }

    /// Notes that the server cannot be reached: the replies that were lost since the last one came
    /// were not lost because of their sizes.
    pub(in crate::broker) fn outage(&mut self) {
        if let Some((most, changed)) = self.before.take() {
            (self.most, self.changed, self.alone) = (most, changed, None);
        }
        self.lost = 0;
    }

    /// Notes that a reply with items of this many bytes in all was lost. `single` is true for a
    /// reply with one item.
    pub(in crate::broker) fn was_lost(&mut self, bytes: usize, single: bool, now: Instant) {
        if mutated("halve-replies") {
            return;
        }
        self.lost += 1;
        if bytes > SMALL {
            self.before.get_or_insert((self.most, self.changed));
            self.most = (self.most(now).min(bytes) / 2).max(SMALL);
            self.changed = Some(now);
            if single {
                let before = self.alone.filter(|(size, _)| *size == bytes);
                self.alone = Some((bytes, before.map_or(0, |(_, times)| times) + 1));
            }
        } else if self.lost > 1 {
            self.single_until = Some(now + SINGLE);
        }
    }
}

/// The size of the items that one reader has read lately.
#[derive(Debug, Clone, Copy, Default)]
pub struct ItemSizes {
    /// The size of an item in bytes; `None` before the first one. It rises at once, and falls
    /// slowly.
    mean: Option<usize>,
}

impl ItemSizes {
    /// Returns the bytes that this many items have, going by the size; `None` when the size is not
    /// known.
    #[must_use]
    pub fn expected(&self, items: usize) -> Option<usize> {
        self.mean.map(|mean| mean.saturating_mul(items))
    }

    /// Notes items of this many bytes in all.
    pub fn note(&mut self, items: usize, bytes: usize) {
        if let Some(last) = bytes.checked_div(items) {
            let fallen = |mean: usize| mean - mean.saturating_sub(last).div_ceil(8);
            self.mean = Some(self.mean.map_or(last, |mean| fallen(mean).max(last)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn later(now: Instant, millis: u64) -> Instant {
        now + Duration::from_millis(millis)
    }

    #[test]
    fn a_lost_reply_halves_the_limit_and_time_doubles_it() {
        let (mut limit, now) = (ReplyLimit::default(), Instant::now());
        assert_eq!((limit.most(now), limit.is_reduced(now)), (FULL, false));
        limit.was_lost(FULL, false, now);
        assert_eq!((limit.most(now), limit.is_reduced(now)), (FULL / 2, true));
        limit.was_lost(1 << 20, false, now);
        assert_eq!(limit.most(now), 1 << 19, "half of what was lost");
        limit.came(1 << 19);
        assert_eq!(limit.most(now), 1 << 19, "a reply of a size that was lost is not repeated");
        assert_eq!(limit.most(later(now, 299_999)), 1 << 19);
        assert_eq!(limit.most(later(now, 300_000)), 1 << 20);
        assert_eq!(limit.most(later(now, 599_999)), 1 << 20);
        assert_eq!(limit.most(later(now, 600_000)), 2 << 20);
        assert_eq!(limit.most(later(now, 900_000)), FULL);
        assert!(!limit.is_reduced(later(now, 900_000)));
    }

    #[test]
    fn an_outage_does_not_count_as_a_reply_that_was_too_large() {
        let (mut limit, now) = (ReplyLimit::default(), Instant::now());
        limit.was_lost(FULL, false, now);
        limit.was_lost(FULL, true, now);
        limit.outage();
        assert_eq!((limit.most(now), limit.unread_from()), (FULL, None));
        limit.was_lost(FULL, false, now);
        limit.came(1);
        limit.outage();
        assert_eq!(limit.most(now), FULL / 2, "the server could be reached since");
    }

    #[test]
    fn small_replies_that_are_lost_in_a_row_are_halved_down_to_one_for_a_while() {
        let (mut limit, now) = (ReplyLimit::default(), Instant::now());
        limit.was_lost(100, false, now);
        assert_eq!(limit.most(now), FULL, "an outage");
        limit.came(100);
        limit.was_lost(100, false, now);
        assert_eq!(limit.most(now), FULL);
        limit.was_lost(100, false, now);
        assert_eq!(limit.most(now), 1);
        assert_eq!(limit.most(later(now, 10_000)), FULL);
        for _ in 0..9 {
            limit.was_lost(FULL, false, now);
        }
        assert_eq!(limit.most(later(now, 10_000)), SMALL);
        limit.was_lost(SMALL, false, now);
        assert_eq!(limit.most(now), 1);
    }

    #[test]
    fn an_item_whose_reply_is_lost_each_time_is_left_unread() {
        let (mut limit, now) = (ReplyLimit::default(), Instant::now());
        let lose = |limit: &mut ReplyLimit, bytes, times| {
            (0..times).for_each(|_| limit.was_lost(bytes, true, now));
        };
        lose(&mut limit, 900_000, 3);
        assert_eq!(limit.unread_from(), None);
        limit.came(900_000);
        lose(&mut limit, 900_000, 3);
        assert_eq!(limit.unread_from(), None, "it came in between");
        limit.came(899_999);
        lose(&mut limit, 900_000, 1);
        assert_eq!(limit.unread_from(), Some(900_000));
        assert_eq!(limit.most(later(now, 300_000)), SMALL * 2);
        assert_eq!(limit.unread_from(), None, "it is tried again");
        lose(&mut limit, SMALL, 9);
        assert_eq!(limit.unread_from(), None, "a small one is not the reason");
    }

    #[test]
    fn the_size_of_items_rises_at_once_and_falls_slowly() {
        let mut sizes = ItemSizes::default();
        assert_eq!(sizes.expected(10), None);
        sizes.note(0, 0);
        assert_eq!(sizes.expected(10), None);
        sizes.note(10, 1000);
        assert_eq!(sizes.expected(10), Some(1000));
        sizes.note(1, 2000);
        assert_eq!(sizes.expected(10), Some(20_000));
        sizes.note(10, 1000);
        assert_eq!(sizes.mean, Some(2000 - 1900_usize.div_ceil(8)));
        for _ in 0..100 {
            sizes.note(1, 100);
        }
        assert_eq!(sizes.mean, Some(100));
        for _ in 0..100 {
            sizes.note(1, 0);
        }
        assert_eq!((sizes.mean, sizes.expected(usize::MAX)), (Some(0), Some(0)));
        sizes.note(1, usize::MAX);
        assert_eq!(sizes.expected(2), Some(usize::MAX));
    }
}
