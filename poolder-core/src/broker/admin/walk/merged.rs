//! The next page of several sources: first the places and sizes of their next jobs, then the jobs of
//! the page.

use super::merge::{Heads, Merged, Rank, merge};
use super::source::Member;
use super::{MAX_ROUNDS, Walk, is_later};
use crate::job::Error;
use crate::view::After;

/// The least number of jobs of each source whose sizes are asked for at first.
const MIN_HEADS: usize = 8;

/// The next jobs of each source, of which only places and sizes are known.
struct Known {
    heads: Vec<Heads>,
    /// The place behind each of the jobs.
    places: Vec<Vec<After>>,
}

impl Walk {
    /// Reads the next jobs of several sources.
    pub(super) async fn read_merged(&mut self, active: &[usize], most: usize) -> Vec<Member> {
        let Known { heads, places } = self.read_heads(active, most).await;
        let mut bytes = self.broker.script_reply_bytes();
        loop {
            let Merged { counts, .. } = merge(&heads, most, bytes);
            let (items, lost) = self.read_jobs(active, &heads, &places, &counts).await;
            if !lost {
                return items;
            }
            self.broker.reply_was_lost(bytes, false);
            let smaller = self.broker.script_reply_bytes();
            if smaller >= bytes {
                return items;
            }
            bytes = smaller;
        }
    }

    /// Reads the places and sizes of the next jobs of these sources, as far as a page may need them.
    async fn read_heads(&mut self, active: &[usize], most: usize) -> Known {
        let none = || active.iter().map(|_| Heads::default()).collect();
        let mut known = Known { heads: none(), places: active.iter().map(|_| vec![]).collect() };
        let bytes = self.broker.script_reply_bytes();
        let mut each = (2 * most / active.len()).clamp(MIN_HEADS.min(most), most);
        let mut wanted: Vec<usize> = (0..active.len()).collect();
        for _ in 0..MAX_ROUNDS {
            let calls = wanted.iter().map(|at| {
                let source = &self.sources[active[*at]];
                source.call(known.places[*at].last(), each, bytes, true)
            });
            let calls: Vec<_> = calls.collect();
            self.round_trips += 1;
            let replies = self.broker.ask_all(&calls).await;
            for (at, reply) in wanted.iter().zip(replies) {
                let behind = known.places[*at].last();
                let batch = reply.and_then(|reply| self.sources[active[*at]].read(reply, behind));
                match batch {
                    Ok(batch) => {
                        self.any_read = true;
                        let jobs = batch.items.iter().map(|item| (item.key, item.bytes));
                        known.heads[*at].jobs.extend(jobs);
                        known.heads[*at].more = batch.more && !batch.items.is_empty();
                        known.places[*at].extend(batch.items.into_iter().map(|item| item.after));
                    }
                    Err(error) => {
                        known.heads[*at] = Heads::default();
                        self.fail(active[*at], error);
                    }
                }
            }
            // Another source of a partition that failed meanwhile has been given up as well.
            for (at, heads) in known.heads.iter_mut().enumerate() {
                if self.sources[active[at]].ended {
                    *heads = Heads::default();
                }
            }
            match merge(&known.heads, most, bytes).starved {
                Some(starved) => wanted = vec![starved],
                None => break,
            }
            each = most;
        }
        known
    }

    /// Reads the first jobs of each source, as many as `counts` says. Returns true when a reply was
    /// lost; nothing was read then.
    async fn read_jobs(
        &mut self,
        active: &[usize],
        heads: &[Heads],
        places: &[Vec<After>],
        counts: &[usize],
    ) -> (Vec<Member>, bool) {
        let wanted: Vec<usize> = (0..active.len()).filter(|at| counts[*at] > 0).collect();
        let bytes = self.broker.script_reply_bytes();
        let calls =
            wanted.iter().map(|at| self.sources[active[*at]].call(None, counts[*at], bytes, false));
        let calls: Vec<_> = calls.collect();
        self.round_trips += 1;
        let replies = self.broker.ask_all(&calls).await;
        if replies.iter().any(|reply| reply.as_ref().is_err_and(Error::is_unknown)) {
            return (vec![], true);
        }
        // The place that the page reaches: behind the last job of the page, or before the first one
        // that a source has not returned since others came before it meanwhile.
        let mut end: Option<Rank> = None;
        let mut batches = vec![];
        for (at, reply) in wanted.into_iter().zip(replies) {
            let bound = heads[at].jobs[counts[at] - 1].0;
            match reply.and_then(|reply| self.sources[active[at]].read(reply, None)) {
                Ok(mut batch) => {
                    batch.items.retain(|item| item.key <= bound);
                    let last = batch.items.last().map(|item| item.key);
                    let cut = batch.more && batch.items.len() < counts[at];
                    if let Some(last) = last.filter(|last| cut && *last < bound) {
                        end = Some(end.map_or(last, |end| end.min(last)));
                    }
                    batches.push((at, bound, batch.items));
                }
                Err(error) => self.fail(active[at], error),
            }
        }
        let mut all = vec![];
        let mut reached: Option<(Rank, After)> = None;
        for (at, bound, mut items) in batches {
            items.retain(|item| end.is_none_or(|end| item.key <= end));
            let source = &mut self.sources[active[at]];
            let whole = end.is_none_or(|end| bound <= end);
            let place = match items.last() {
                Some(last) => Some((last.key, last.after.clone())),
                // All of its jobs have left it.
                None if whole => Some((bound, places[at][counts[at] - 1].clone())),
                None => None,
            };
            if let Some((key, after)) = place {
                source.go_behind(&after);
                if reached.as_ref().is_none_or(|(last, _)| *last < key) {
                    reached = Some((key, after));
                }
            }
            source.ended = whole && counts[at] == heads[at].jobs.len() && !heads[at].more;
            source.ended |= whole && source.is_lane() && is_later(&bound, self.until);
            all.append(&mut items);
        }
        if let Some((_, after)) = reached {
            self.last = Some(after);
        }
        for (at, heads) in heads.iter().enumerate() {
            if heads.jobs.is_empty() && !heads.more {
                self.sources[active[at]].ended = true;
            }
        }
        all.sort_by_key(|item| item.key);
        (all, false)
    }
}
