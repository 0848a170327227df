//! The pace of a slot's polls: how many jobs a poll claims, and the pauses after failed polls.

use std::time::Duration;

use poolder_core::broker::ItemSizes;
use poolder_core::policy::Pauses;
use tokio::time::Instant;

use crate::process::limits::request_pauses;

/// Only jobs faster than this are claimed several at a time. The completions of such jobs wait no
/// longer than this to be settled together.
const QUICK: Duration = Duration::from_millis(2);

/// Jobs are claimed several at a time while so many are expected to have at most this many bytes.
const MAX_BYTES: usize = 1 << 20;

/// The pace of a slot's polls.
#[derive(Debug)]
pub(super) struct Pacing {
    /// The most jobs that a poll may claim.
    most: usize,
    /// The number of jobs that the last poll could claim.
    batch: usize,
    /// The sizes of the jobs that were claimed lately.
    sizes: ItemSizes,
    /// True when the jobs that were claimed last took next to no time.
    quick: bool,
    /// The time of the last reply to a poll.
    polled_at: Instant,
    pauses: Pauses,
    /// The pause before the next poll, after a failed one.
    retry_in: Option<Duration>,
}

impl Pacing {
    /// Creates the pace of a slot that claims at most `most` jobs in one poll.
    pub(super) fn new(most: usize, now: Instant) -> Self {
        let pauses = request_pauses();
        let sizes = ItemSizes::default();
        Self { most, batch: 0, sizes, quick: false, polled_at: now, pauses, retry_in: None }
    }

    /// Returns how many jobs to claim: twice as many as before while jobs take next to no time and
    /// fit into a reply together, otherwise one.
    pub(super) fn next_batch(&mut self) -> usize {
        let more = (self.batch * 2).clamp(1, self.most);
        let fits = self.sizes.expected(more).is_some_and(|bytes| bytes <= MAX_BYTES);
        self.batch = if self.quick && fits { more } else { 1 };
        self.batch
    }

    /// Returns true when the jobs that were claimed last took next to no time.
    pub(super) fn is_quick(&self) -> bool {
        self.quick
    }

    /// Returns when the last poll was answered.
    pub(super) fn polled_at(&self) -> Instant {
        self.polled_at
    }

    /// Returns the pause that a failed poll requires, once.
    pub(super) fn take_pause(&mut self) -> Option<Duration> {
        self.retry_in.take()
    }

    /// Records the reply to a poll.
    pub(super) fn answered(&mut self, now: Instant) {
        self.polled_at = now;
        self.pauses.after_success();
    }

    /// Records a failed poll. The next one comes after a pause.
    pub(super) fn failed(&mut self) {
        self.retry_in = Some(self.pauses.after_failure());
    }

    /// Records that this many entries of this many bytes in all were claimed.
    pub(super) fn claimed(&mut self, entries: usize, bytes: usize) {
        self.quick = false;
        self.sizes.note(entries, bytes);
    }

    /// Records that a job was completed.
    pub(super) fn completed(&mut self, now: Instant) {
        self.quick = now.duration_since(self.polled_at) < QUICK;
    }
}
