//! The entries that a claim brings, and the results of a round trip of a claimer.

use std::sync::Arc;

use crate::broker::connection::reply;
use crate::broker::{Depths, Settled};
use crate::job::{Error, Lane};
use crate::stored::{Claim, ClaimedRange, Entry, Undecodable, entry_bytes, read_entry};

/// The result of a claim.
#[derive(Debug, Default)]
pub struct Claimed {
    /// Jobs to run.
    pub jobs: Vec<Claim>,
    /// Claimed entries that are not jobs. The caller must bury them.
    pub undecodable: Vec<Undecodable>,
}

/// The result of a wait.
#[derive(Debug, Default)]
pub struct Waited {
    /// The jobs that came.
    pub claimed: Claimed,
    /// True when the wait was asked to renew the permit of the node, and the node had lost it.
    pub permit_lost: bool,
    /// True when the wait was one for a token of a limited queue, and one came.
    pub woken: bool,
}

/// The result of a visit.
#[derive(Debug, Default)]
pub struct Visit {
    /// The jobs that were there.
    pub claimed: Claimed,
    /// The nodes with a wait permit.
    pub holders: Vec<String>,
    /// True when the node is entered among those that rest, for longer than it pauses between two
    /// visits.
    pub entered: bool,
}

impl Claimed {
    /// Returns whether the claim got no entries.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.undecodable.is_empty()
    }

    /// Returns the number of claimed entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.jobs.len() + self.undecodable.len()
    }

    /// Adds the entries that one read got from a lane. Returns their bytes.
    pub(super) fn extend(
        &mut self,
        name: &str,
        lane: Lane,
        entries: Vec<reply::StreamEntry>,
    ) -> usize {
        let range = ClaimedRange::of(entries.iter().map(|(id, _)| id));
        let mut bytes = 0;
        self.jobs.reserve(entries.len());
        for (id, fields) in entries {
            // New entries have fields. An entry deleted at this moment has nothing to run.
            let Some(fields) = fields else { continue };
            bytes += entry_bytes(&fields);
            self.push(read_entry(name, lane, id, fields), range.as_ref());
        }
        bytes
    }

    pub(super) fn push(&mut self, mut entry: Entry, range: Option<&Arc<ClaimedRange>>) {
        if let Entry::Job(claim) = &mut entry {
            claim.range = range.cloned();
        }
        match entry {
            Entry::Job(claim) => self.jobs.push(claim),
            Entry::Undecodable(found) => self.undecodable.push(found),
        }
    }
}

/// The result of one round trip.
#[derive(Debug)]
pub struct Exchange {
    /// One result per settlement, in order.
    pub settled: Vec<Settled>,
    /// The number of waiting jobs per lane before the claim; `None` when the caller did not ask for
    /// it, or the server did not report it.
    pub depths: Option<Depths>,
    /// The claimed entries.
    pub claimed: Result<Claimed, Error>,
    /// How many entries the claim would have brought if the lane had them: no more than were asked
    /// for, and no more than fit into a reply.
    pub asked: usize,
}
