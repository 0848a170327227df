//! A walk through a listing of a queue, over all its partitions in one order.
//!
//! Where only one partition and lane is left to read, its next jobs are read at once. Else a page
//! takes two steps: the places and sizes of the next jobs of all sources are read and
//! [merged](merge), in a few rounds where one source has most of the jobs; then the jobs of the page
//! alone are read. So a page is bounded however many partitions there are and however large their
//! jobs are.

mod merge;
mod merged;
mod source;

use redis::Value;

use self::merge::Rank;
use self::source::{Batch, Member, Source, Spot};
use crate::broker::Broker;
use crate::broker::admin::find::is_cancelling;
use crate::broker::connection::reply::server_time;
use crate::job::{Error, JobState, Lane, Partition, Timestamp};
use crate::view::{After, Cursor, JobView, Listing, Unreachable};

/// The most jobs on a page.
const MAX_JOBS: usize = 500;
/// The most rounds in which sizes are asked for. A page is shorter when they are not enough.
const MAX_ROUNDS: usize = 4;

/// A walk through a listing of a queue.
#[derive(Debug)]
pub struct Walk {
    broker: Broker,
    listing: Listing,
    sources: Vec<Source>,
    last: Option<After>,
    unreachable: Vec<Unreachable>,
    /// The first error of a source.
    error: Option<Error>,
    any_read: bool,
    /// The time after which entries of lanes are left out.
    until: Option<Timestamp>,
    round_trips: u32,
}

/// A job that a walk has passed.
#[derive(Debug, Clone)]
pub struct Passed {
    /// The job; `None` for a member of the listing that is no job, and for one that has left it.
    pub job: Option<JobView>,
    /// The cursor with which another walk goes on behind the job.
    pub cursor: Cursor,
}

impl Broker {
    /// Begins a walk through the jobs of these partitions of a queue. `lane` is the only lane to
    /// walk through.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a cursor of another listing.
    pub fn walk(
        &self,
        partitions: &[Partition],
        listing: Listing,
        lane: Option<Lane>,
        after: Option<&Cursor>,
    ) -> Result<Walk, Error> {
        let after = after.map(|cursor| &cursor.0);
        if let (Some(lane), Some(After::Entry(of, ..))) = (lane, after)
            && lane != *of
        {
            return Err(Error::invalid("the cursor belongs to another lane: use that of this one"));
        }
        let lanes = Lane::ALL.into_iter().filter(|of| lane.is_none_or(|lane| lane == *of));
        let spots: Vec<Spot> = match listing {
            // The jobs in groups come last.
            Listing::Ready => {
                lanes.map(Spot::Waits).chain(lane.is_none().then_some(Spot::Grouped)).collect()
            }
            Listing::Running => lanes.map(Spot::Runs).collect(),
            Listing::Due | Listing::Scheduled | Listing::Retrying => vec![Spot::Due],
            Listing::Dead => vec![Spot::Dead],
            Listing::Finished => vec![Spot::Finished],
        };
        let mut sources = vec![];
        for partition in partitions {
            let keys = self.keys(partition);
            // Only a queue of one partition has groups.
            let has_groups = partition.index == 0;
            for spot in spots.iter().filter(|spot| has_groups || **spot != Spot::Grouped) {
                sources.extend(Source::new(partition, keys.clone(), *spot, after)?);
            }
        }
        Ok(Walk {
            broker: self.clone(),
            listing,
            sources,
            last: after.cloned(),
            unreachable: vec![],
            error: None,
            any_read: false,
            until: None,
            round_trips: 0,
        })
    }
}

impl Walk {
    /// Ends the walk through each lane behind the jobs that have entered it until this time, so that
    /// it comes to an end however many are added meanwhile.
    #[must_use]
    pub fn until(self, time: Timestamp) -> Self {
        Self { until: Some(time), ..self }
    }

    /// Returns true when nothing is left to read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.sources.iter().all(|source| source.ended)
    }

    /// Returns the cursor with which another walk goes on; `None` at the end.
    #[must_use]
    pub fn cursor(&self) -> Option<Cursor> {
        self.last.clone().filter(|_| !self.is_done()).map(Cursor)
    }

    /// Returns the number of round trips so far.
    #[must_use]
    pub fn round_trips(&self) -> u32 {
        self.round_trips
    }

    /// Returns the most round trips of the next step.
    #[must_use]
    pub fn next_round_trips(&self) -> u32 {
        let active = self.sources.iter().filter(|source| !source.ended).count();
        let read = if active > 1 { MAX_ROUNDS as u32 + 1 } else { 1 };
        read + u32::from(self.listing == Listing::Running)
    }

    /// Returns the partitions that could not be read.
    #[must_use]
    pub fn unreachable(&self) -> &[Unreachable] {
        &self.unreachable
    }

    /// Returns the next jobs: at most `most`, never more than 500, and about 1 MiB. None are left
    /// when [`Walk::is_done`] says so; before that, a step may bring none.
    ///
    /// # Errors
    /// Returns an error when no partition can be read.
    pub async fn next(&mut self, most: usize) -> Result<Vec<Passed>, Error> {
        let most = most.clamp(1, MAX_JOBS);
        let left = (0..self.sources.len()).filter(|at| !self.sources[*at].ended);
        let mut active: Vec<usize> = left.collect();
        // Groups have no order by which they could be merged with lanes: they follow these.
        if active.len() > 1 {
            active.retain(|at| !self.sources[*at].is_grouped());
        }
        let items = match active.as_slice() {
            [] => vec![],
            [only] => self.read_one(*only, most).await,
            _ => self.read_merged(&active, most).await,
        };
        if !self.any_read
            && self.is_done()
            && let Some(error) = self.error.take()
        {
            return Err(error);
        }
        self.finish(items).await
    }

    /// Notes which of the jobs of the last step have left the listing, so that the walk leaves out
    /// none of those behind them.
    pub fn left<'a>(&mut self, gone: impl IntoIterator<Item = &'a JobView>) {
        for job in gone {
            let of = |source: &&mut Source| source.partition == job.handle.partition;
            if let Some(source) = self.sources.iter_mut().find(of) {
                source.left(job.at);
            }
        }
    }

    /// Reads the next jobs of the only source that is left.
    async fn read_one(&mut self, at: usize, most: usize) -> Vec<Member> {
        self.round_trips += 1;
        let source = &self.sources[at];
        let reply = self
            .broker
            .ask_bounded(source.key(), |bytes| source.call(None, most, bytes, false))
            .await;
        match reply.and_then(|reply| source.read(reply, None)) {
            Ok(batch) => {
                self.any_read = true;
                self.accept(at, &batch);
                batch.items
            }
            Err(error) => {
                self.fail(at, error);
                vec![]
            }
        }
    }

    /// Goes on behind the jobs of a source.
    fn accept(&mut self, at: usize, batch: &Batch) {
        let source = &mut self.sources[at];
        if let Some(reached) = &batch.reached {
            source.ended = !batch.more;
            source.go_behind(reached);
            self.last = Some(reached.clone());
            return;
        }
        source.ended = !batch.more || batch.items.is_empty();
        if let Some(last) = batch.items.last() {
            source.go_behind(&last.after);
            source.ended |= source.is_lane() && is_later(&last.key, self.until);
            self.last = Some(last.after.clone());
        }
    }

    /// Gives up the partition of a source.
    fn fail(&mut self, at: usize, error: Error) {
        let partition = self.sources[at].partition.clone();
        for source in &mut self.sources {
            source.ended |= source.partition == partition;
        }
        if self.unreachable.iter().all(|known| known.partition != partition) {
            self.unreachable.push(Unreachable::new(partition, &error));
        }
        self.error.get_or_insert(error);
    }

    /// Builds the jobs that were passed. Reads since when running ones were claimed, and which of
    /// them are cancelled.
    async fn finish(&mut self, mut items: Vec<Member>) -> Result<Vec<Passed>, Error> {
        if self.listing == Listing::Running && items.iter().any(|item| item.job.is_some()) {
            let mut pipe = redis::pipe();
            pipe.cmd("TIME");
            let jobs = items.iter().filter_map(|item| item.job.as_ref());
            for job in jobs {
                let keys = self.broker.keys(&job.handle.partition);
                pipe.cmd("ZSCORE").arg(&keys.cancelled).arg(job.id().as_bytes());
            }
            self.round_trips += 1;
            let mut replies = self.broker.pipeline(&pipe).await?.into_iter();
            let mut next = || {
                let reply = replies.next().unwrap_or(Ok(Value::Nil));
                reply.map_err(|error| self.broker.classify(error))
            };
            let now = server_time(next()?)?;
            for item in &mut items {
                let Some(job) = &mut item.job else { continue };
                job.at = item.claimed.map_or(Timestamp::default(), |claimed| now - claimed);
                job.cancelling = is_cancelling(job, next()?)?;
            }
        }
        let wanted = |job: &JobView| match self.listing {
            Listing::Scheduled => job.state == JobState::Scheduled,
            Listing::Retrying => job.state == JobState::Retrying,
            _ => true,
        };
        let passed =
            |item: Member| Passed { job: item.job.filter(wanted), cursor: Cursor(item.after) };
        Ok(items.into_iter().map(passed).collect())
    }
}

/// Returns true when an entry was added after this time.
fn is_later(key: &Rank, until: Option<Timestamp>) -> bool {
    until.is_some_and(|until| key.time > until.millis())
}
