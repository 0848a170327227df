//! A job that is about to be stored.

use std::time::Duration;

use crate::broker::Durability;
use crate::job::{Error, Lane, OnDuplicate, Partition, Timestamp, Unique, UniqueMode};
use crate::stored::Envelope;

/// A job to be stored in a queue.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct PreparedJob {
    /// The partition that stores the job.
    pub partition: Partition,
    /// The lane in which the job waits once it is ready.
    pub lane: Lane,
    /// The time at which the job is ready.
    pub when: When,
    /// The stored form of the job.
    pub envelope: Envelope,
    /// The time within which another enqueue with the same id stores nothing; `None` if each one
    /// stores a job.
    pub idempotent: Option<Duration>,
    /// The fate of a job that holds the key of this one, which is then not stored. Has an effect for
    /// a unique job only.
    pub on_duplicate: OnDuplicate,
    /// The storage that must be confirmed before the enqueue returns.
    pub durability: Durability,
}

impl PreparedJob {
    /// Prepares a job that is ready at once in the lane normal, not idempotent, and confirmed when
    /// it is in memory. Set the fields to change this.
    #[must_use]
    pub fn new(partition: Partition, envelope: Envelope) -> Self {
        Self {
            partition,
            lane: Lane::Normal,
            when: When::Now,
            envelope,
            idempotent: None,
            on_duplicate: OnDuplicate::Keep,
            durability: Durability::Memory,
        }
    }

    /// Makes the job unique by this rule. A debounced job is due after the delay of the rule.
    ///
    /// # Errors
    /// As [`Envelope::made_unique`].
    pub fn make_unique(&mut self, rule: &Unique) -> Result<(), Error> {
        self.envelope = self.envelope.made_unique(rule)?;
        if let Some((delay, most)) = rule.delays() {
            (self.when, self.on_duplicate) = (When::In(delay), OnDuplicate::Renew(most));
        } else if rule.mode() == UniqueMode::KeepLast {
            self.on_duplicate = OnDuplicate::Behind;
        } else if rule.replaces() {
            self.on_duplicate = OnDuplicate::Replace;
        }
        Ok(())
    }
}

/// The time at which a job is ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum When {
    /// At once.
    #[default]
    Now,
    /// This long after the server executes the enqueue.
    In(Duration),
    /// At this time, by the server's clock.
    At(Timestamp),
}
