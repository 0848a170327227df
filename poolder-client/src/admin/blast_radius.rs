//! The blast radius of a suspect: the nodes that died with it, and the jobs that they held beside.

use std::collections::HashSet;
use std::fmt;
use std::time::Duration;

use futures_util::future::{try_join3, try_join4};
use poolder_core::view::{JobView, Listing};
use poolder_core::{Cause, Error, JobId, JobState, Lane, Timestamp};
use serde::Serialize;

use crate::admin::words::many;
use crate::job::JobClient;

/// The most jobs of each listing that are looked at.
const LOOKED_AT: usize = 500;
/// Jobs of a dead node are taken back within this time of each other.
const TOGETHER: Duration = Duration::from_secs(60);

/// The nodes that died while they ran a job, and the jobs that were taken back beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BlastRadius {
    /// The job.
    pub job: JobId,
    /// The deaths of nodes while they ran the job, the first one first; of many, the first and the
    /// last seven.
    pub crashes: Vec<NodeCrash>,
    /// The other jobs of the queue that these nodes held and that have not ended since.
    pub neighbours: Vec<Neighbour>,
    /// The number of suspects of the queue that wait or run.
    pub suspects: u64,
    /// The number of jobs that were looked at for neighbours.
    pub looked_at: u64,
}

/// The death of a node while it ran a job.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeCrash {
    /// The name of the node, cut to 24 bytes.
    pub node: String,
    /// The time at which its jobs were taken back.
    pub at: Timestamp,
}

/// A job that a node held when it died with another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Neighbour {
    /// The id of the job.
    pub job: JobId,
    /// The kind of the job; empty for an entry that is no job.
    pub kind: String,
    /// The present state of the job.
    pub state: JobState,
    /// The number of nodes that died while they held it.
    pub crashes: u32,
    /// The node that died, cut to 24 bytes.
    pub node: String,
}

impl JobClient {
    /// Returns the blast radius of a job: the nodes that died while they ran it, and the jobs of the
    /// queue that they held beside it, with what has become of them. Up to 500 jobs each are looked
    /// at of those that run, that wait in the lanes of rescued jobs and suspects, that wait for
    /// their time, and that are dead; jobs that have ended well since left no trace.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the job is not found; also returns an error when the server does
    /// not answer or refuses a read.
    pub async fn blast_radius(&self) -> Result<BlastRadius, Error> {
        let Some(view) = self.view().await? else {
            let job = self.handle()?.job;
            return Err(Error::not_found("the job was not found").with_job(job));
        };
        let (client, partition) = (self.client(), &view.handle.partition);
        let first = |listing, lane| client.first_jobs(partition, (listing, lane), LOOKED_AT);
        let (overview, running, due) = try_join3(
            client.broker().overview(partition),
            first(Listing::Running, None),
            first(Listing::Due, None),
        )
        .await?;
        let (front, suspect, normal, dead) = try_join4(
            first(Listing::Ready, Some(Lane::Front)),
            first(Listing::Ready, Some(Lane::Suspect)),
            first(Listing::Ready, Some(Lane::Normal)),
            first(Listing::Dead, None),
        )
        .await?;
        let jobs = [running, due, front, suspect, normal, dead].concat();
        let crashes = crashes_of(&view);
        let mut seen = HashSet::from([view.id()]);
        let beside = |job: &&JobView| seen.insert(job.id());
        let neighbours = jobs.iter().filter(beside).filter_map(|job| neighbour(job, &crashes));
        let suspects = overview.lanes.iter().filter(|lane| lane.lane.is_suspect());
        Ok(BlastRadius {
            job: view.id(),
            neighbours: neighbours.collect(),
            crashes,
            suspects: suspects.map(|lane| lane.ready + lane.running).sum(),
            looked_at: jobs.len() as u64,
        })
    }
}

fn crashes_of(job: &JobView) -> Vec<NodeCrash> {
    let crashes = job.attempts().into_iter().filter(|attempt| attempt.cause == Cause::Crash);
    crashes.map(|crash| NodeCrash { node: crash.node, at: crash.at }).collect()
}

fn neighbour(job: &JobView, crashes: &[NodeCrash]) -> Option<Neighbour> {
    let together = |own: &NodeCrash, other: &NodeCrash| {
        own.node == other.node && own.at.since(other.at).max(other.at.since(own.at)) <= TOGETHER
    };
    let own = crashes_of(job);
    let shared = own.iter().find(|own| crashes.iter().any(|other| together(own, other)))?;
    Some(Neighbour {
        job: job.id(),
        kind: job.kind().unwrap_or_default().to_owned(),
        state: job.state,
        crashes: job.counters.crashes,
        node: shared.node.clone(),
    })
}

impl fmt::Display for BlastRadius {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = many(self.crashes.len() as u64, "node");
        writeln!(f, "job {}: {nodes} died while it ran", self.job)?;
        for crash in &self.crashes {
            writeln!(f, "  node {}, taken back at {}", crash.node, crash.at)?;
        }
        let neighbours = many(self.neighbours.len() as u64, "job");
        writeln!(f, "{neighbours} were held beside it, of {} looked at", self.looked_at)?;
        for job in &self.neighbours {
            let crashes = many(job.crashes.into(), "crash");
            writeln!(
                f,
                "  {} {}: {}, {crashes}, on node {}",
                job.kind, job.job, job.state, job.node
            )?;
        }
        writeln!(f, "{} wait or run in the queue", many(self.suspects, "suspect"))
    }
}
