//! The walk through a listing that changes jobs in bounded steps.

use std::fmt::Display;

use poolder_core::view::{JobView, Listing, QueueView, Unreachable};
use poolder_core::{Error, Partition, QueueName, Timestamp};
use serde::Serialize;

use crate::admin::action::Action;
use crate::admin::words::many;
use crate::client::Client;
use crate::state::audit::{Begun, Change};

/// Number of jobs in one step, after which the progress is reported.
const STEP: usize = 100;
/// Number of jobs in one step of [`Action::Delete`], which needs only their places.
const DELETE_STEP: usize = 500;
/// The number of jobs that a report shows.
const SHOWN: usize = 10;

/// The work of a [`BulkChange`](crate::BulkChange) so far.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct BulkReport {
    /// The number of jobs that were looked at.
    pub looked_at: u64,
    /// The number of jobs that the listing had at the beginning. Of scheduled and of retrying jobs
    /// the number of both.
    pub of: u64,
    /// The number of jobs that satisfy the filter and can be changed.
    pub matched: u64,
    /// The number of jobs that were changed; the others have started, moved or ended meanwhile. 0 in
    /// a dry run.
    pub changed: u64,
    /// The first ten jobs that satisfy the filter.
    pub first: Vec<JobView>,
    /// The partitions that could not be read: their jobs were not looked at.
    pub unreachable: Vec<Unreachable>,
}

/// A walk through a listing that changes jobs.
pub(super) struct Sweep<'a> {
    pub(super) client: &'a Client,
    pub(super) queue: QueueName,
    pub(super) listing: Listing,
    pub(super) action: &'a Action,
    pub(super) dry_run: bool,
    /// The most jobs that are changed.
    pub(super) most: u64,
    /// The record of the change, which counts the jobs that are changed.
    pub(super) begun: Option<&'a Begun>,
}

impl<'a> Sweep<'a> {
    /// Returns the walk that changes nothing.
    pub(super) fn dry(self) -> Self {
        Self { dry_run: true, ..self }
    }

    /// Returns the walk that counts the jobs which it changes.
    pub(super) fn recorded(self, begun: &'a Begun) -> Self {
        Self { begun: Some(begun), ..self }
    }

    /// Returns the change of the jobs of this description.
    pub(super) fn change(&self, which: impl Display) -> Change {
        let change = Change::new(self.action.name(), &self.queue);
        change.detail(format_args!("{} jobs, {which}", self.listing))
    }

    /// Changes the jobs for which `which` is true. Reports each step, and ends after one whose report
    /// is answered with true.
    pub(super) async fn run(
        self,
        mut which: impl FnMut(&JobView, Timestamp) -> bool,
        mut ends: impl FnMut(&BulkReport) -> bool,
    ) -> Result<BulkReport, Error> {
        let Self { client, queue, listing, action, dry_run, most, begun } = self;
        action.check(listing)?;
        let broker = client.broker();
        let view = broker.queue_overview(&queue).await?;
        let started = view.now;
        let mut report = BulkReport {
            looked_at: 0,
            of: size(&view, listing),
            matched: 0,
            changed: 0,
            first: vec![],
            unreachable: view.unreachable.clone(),
        };
        let read = view.partitions.iter().map(|part| part.partition.clone());
        let partitions: Vec<Partition> = read.collect();
        let mut walk = broker.walk(&partitions, listing, None, None)?.until(started);
        let step = if *action == Action::Delete { DELETE_STEP } else { STEP };
        while !walk.is_done() {
            let jobs = walk.next(step).await?.into_iter().filter_map(|passed| passed.job);
            let mut matching = vec![];
            for job in jobs {
                report.looked_at += 1;
                if action.concerns(&job, started) && which(&job, started) {
                    matching.push(job);
                }
            }
            let left = usize::try_from(most.saturating_sub(report.matched)).unwrap_or(usize::MAX);
            matching.truncate(left);
            report.matched += matching.len() as u64;
            let room = SHOWN.saturating_sub(report.first.len());
            report.first.extend(matching.iter().take(room).cloned());
            if !dry_run && !matching.is_empty() {
                let changed = action.apply(broker, &matching, started).await?;
                let each = matching.iter().zip(&changed).filter(|(_, changed)| **changed);
                let some = each.clone().count() as u64;
                report.changed += some;
                begun.inspect(|begun| begun.add(some));
                walk.left(each.map(|(job, _)| job));
            }
            report.unreachable.clone_from(&view.unreachable);
            report.unreachable.extend(walk.unreachable().iter().cloned());
            if ends(&report) || report.matched >= most {
                break;
            }
        }
        Ok(report)
    }
}

impl BulkReport {
    /// Returns the number of changed jobs; the error that names the partitions which could not be
    /// read if there are any.
    pub(super) fn whole(self) -> Result<u64, Error> {
        if self.unreachable.is_empty() {
            return Ok(self.changed);
        }
        let left = self.unreachable.iter().map(|it| format!("{}: {}", it.partition, it.why));
        let left: Vec<String> = left.collect();
        Err(Error::refused(format!(
            "{} changed; repeat it when these partitions can be read: {}",
            many(self.changed, "job"),
            left.join("; ")
        )))
    }

    /// Adds the changes of another report, of the same partitions.
    pub(super) fn and(self, other: &Self) -> Self {
        Self { changed: self.changed + other.changed, ..self }
    }
}

/// Returns the number of jobs in a listing.
pub(super) fn size(view: &QueueView, listing: Listing) -> u64 {
    match listing {
        Listing::Ready => view.ready(),
        Listing::Running => view.running(),
        Listing::Dead => view.dead,
        Listing::Finished => view.finished,
        _ => view.due,
    }
}
