//! Finding a job of which only the id is known, in all partitions of all queues.

use redis::Value;
use serde::Serialize;

use crate::broker::Broker;
use crate::broker::admin::find::ranges;
use crate::broker::connection::reply;
use crate::broker::jobs::search::{Among, LaneSearch, Next};
use crate::broker::jobs::value::{read_value, value_call};
use crate::job::{EntryId, Error, Handle, JobId, JobState, Lane, MAX_STORED, Partition, Place};
use crate::stored::Completion;
use crate::view::{JobView, PartitionView, Unreachable};

/// The most rounds in which all lanes are searched together; each reads up to 500 entries of a lane.
const MAX_ROUNDS: usize = 6;

/// The places at which a job was found of which only the id was known.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Sighting {
    /// The job, if it is stored; of several jobs of the id one that waits for its time, or else is
    /// dead, or else is in a lane, or else is a finished one that is kept.
    pub job: Option<JobView>,
    /// The end of a job of the id that left a record.
    pub ended: Option<Ended>,
    /// The number of partitions that were searched, of all queues.
    pub partitions: u64,
    /// True when a lane has more entries than were searched, so that the job may be there.
    pub is_partial: bool,
    /// The partitions that could not be searched.
    pub unreachable: Vec<Unreachable>,
}

/// The end of a job that left a record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ended {
    /// The partition in which the job ended.
    pub partition: Partition,
    /// The state in which it ended.
    pub state: JobState,
}

/// A lane that is searched.
struct Search {
    partition: Partition,
    lane: Lane,
    key: String,
    bounds: (String, String),
    among: Among,
}

impl Broker {
    /// Finds a job in all partitions of all queues: among the waiting and the dead jobs, then in the
    /// lanes by a bounded search.
    ///
    /// # Errors
    /// Returns an error when the queues cannot be read.
    pub async fn find_anywhere(&self, job: JobId) -> Result<Sighting, Error> {
        let views = self.overviews(&self.queues().await?).await?;
        let mut sighting = Sighting {
            job: None,
            ended: None,
            partitions: 0,
            is_partial: false,
            unreachable: views.iter().flat_map(|view| view.unreachable.clone()).collect(),
        };
        let partitions: Vec<PartitionView> =
            views.into_iter().flat_map(|view| view.partitions).collect();
        sighting.partitions = partitions.len() as u64;
        let (stored, kept) = self.look_among_bodies(job, &partitions, &mut sighting).await;
        if let Some(handle) = stored {
            sighting.job = self.find(&handle).await?;
        }
        if sighting.job.is_none() {
            self.search_lanes(job, &partitions, &mut sighting).await?;
        }
        if let (None, Some(partition)) = (&sighting.job, kept) {
            sighting.job = self.finished(&Handle { partition, job, place: None }).await?;
        }
        Ok(sighting)
    }

    /// Looks for the id among the waiting, the dead and the finished jobs, and for the record of its
    /// end. Returns the handle of a job that waits or is dead, and the partition that keeps a finished
    /// one.
    async fn look_among_bodies(
        &self,
        job: JobId,
        partitions: &[PartitionView],
        sighting: &mut Sighting,
    ) -> (Option<Handle>, Option<Partition>) {
        let ids: Vec<JobId> = job.stored_as().collect();
        let raw: Vec<&[u8]> = ids.iter().map(|id| id.as_bytes().as_slice()).collect();
        let mut calls = vec![];
        for view in partitions {
            let keys = self.keys(&view.partition);
            for set in [&keys.due, &keys.dead] {
                let mut cmd = redis::cmd("ZMSCORE");
                cmd.arg(set).arg(&raw);
                calls.push(cmd);
            }
            let mut ended = redis::cmd("ZSCORE");
            ended.arg(&keys.finished).arg(job.as_bytes());
            calls.push(ended);
            let record = keys.result(job);
            calls.push(value_call(&record, b"", MAX_STORED));
        }
        let mut replies = self.ask_all(&calls).await.into_iter();
        let (mut due, mut died, mut kept) = (None, None, None);
        for view in partitions {
            let [waits, dead, finished, record] =
                [(); 4].map(|()| replies.next().unwrap_or(Ok(Value::Nil)));
            if finished.is_ok_and(|at| at != Value::Nil) {
                kept.get_or_insert_with(|| view.partition.clone());
            }
            let handle = |place| Handle { partition: view.partition.clone(), job, place };
            for (times, found, place) in
                [(waits, &mut due, None), (dead, &mut died, Some(Place::Dead))]
            {
                match times.and_then(reply::array) {
                    Ok(times) if times.iter().any(|at| *at != Value::Nil) => {
                        found.get_or_insert_with(|| handle(place));
                    }
                    Ok(_) => {}
                    Err(error) => note(sighting, &view.partition, &error),
                }
            }
            // Not every user may read records; one that cannot be read tells nothing.
            let record = record.and_then(read_value).ok().flatten();
            let end = record.and_then(|record| Completion::decode(&record.read).ok());
            if let Some(state) = end.as_ref().and_then(state_of) {
                let partition = view.partition.clone();
                sighting.ended.get_or_insert(Ended { partition, state });
            }
        }
        (due.or(died), kept)
    }

    /// Searches the lanes that have entries, all together, in bounded rounds, and then the groups of
    /// limited queues.
    async fn search_lanes(
        &self,
        job: JobId,
        partitions: &[PartitionView],
        sighting: &mut Sighting,
    ) -> Result<(), Error> {
        let mut lanes = vec![];
        for view in partitions {
            let used = view.lanes.iter().filter(|lane| lane.ready + lane.running > 0);
            for lane in used.map(|lane| lane.lane) {
                let key = self.keys(&view.partition).lane(lane).to_owned();
                for (bounds, among) in ranges(lane, job) {
                    let (partition, key) = (view.partition.clone(), key.clone());
                    lanes.push(Search { partition, lane, key, bounds, among });
                }
            }
        }
        let mut searches: Vec<(&Search, LaneSearch<'_>)> = lanes
            .iter()
            .map(|search| {
                let (first, last) = &search.bounds;
                let stream = (search.key.as_str(), search.among);
                (search, LaneSearch::new(stream, job.as_bytes(), (first, last)))
            })
            .collect();
        for _ in 0..MAX_ROUNDS {
            searches.retain(|(_, search)| !search.is_done());
            let calls: Vec<_> = searches.iter().filter_map(|(_, search)| search.call()).collect();
            if calls.is_empty() {
                break;
            }
            for ((of, search), reply) in searches.iter_mut().zip(self.ask_all(&calls).await) {
                match reply.and_then(|reply| search.take(reply)) {
                    Ok(Some(Next::Found(entry))) => {
                        sighting.job = self.view_entry(&of.partition, job, of.lane, &entry).await?;
                        // The job may have moved on meanwhile.
                        if sighting.job.is_some() {
                            return Ok(());
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        search.give_up();
                        note(sighting, &of.partition, &error);
                    }
                }
            }
        }
        sighting.is_partial |= searches.iter().any(|(_, search)| !search.is_at_end());
        for view in partitions.iter().filter(|view| view.grouped > 0) {
            let handle = Handle { partition: view.partition.clone(), job, place: None };
            let found = self.search_groups(&handle).await?;
            sighting.is_partial |= found.is_partial && found.jobs.is_empty();
            sighting.job = found.jobs.into_iter().next();
            if sighting.job.is_some() {
                return Ok(());
            }
        }
        Ok(())
    }

    async fn view_entry(
        &self,
        partition: &Partition,
        job: JobId,
        lane: Lane,
        entry: &EntryId,
    ) -> Result<Option<JobView>, Error> {
        let place = Some(Place::Entry(lane, entry.clone()));
        self.look_at_place(&Handle { partition: partition.clone(), job, place }).await
    }
}

fn note(sighting: &mut Sighting, partition: &Partition, error: &Error) {
    if sighting.unreachable.iter().all(|known| known.partition != *partition) {
        sighting.unreachable.push(Unreachable::new(partition.clone(), error));
    }
}

/// Returns the state in which a job with this record ended; `None` for one that was moved.
fn state_of(end: &Completion) -> Option<JobState> {
    match end {
        Completion::Done | Completion::DoneWith(_) => Some(JobState::Completed),
        Completion::Dead(_) => Some(JobState::Dead),
        Completion::Cancelled(_) => Some(JobState::Cancelled),
        Completion::Moved(_) => None,
    }
}
