//! The facts about a job of which its context is made.

use std::sync::Arc;

use poolder_client::Client;
use poolder_core::broker::NodeName;
use poolder_core::{
    Claim, ClaimTimes, Counters, Headers, JobId, Lane, Partition, Policy, Tick, TraceParent,
};

use super::state::States;
use crate::process::liveness::ServerClock;
use crate::process::progress::ProgressQueue;

/// The parts of a new context.
pub(crate) struct About {
    pub(crate) id: JobId,
    pub(crate) kind: Box<str>,
    pub(crate) partition: Partition,
    pub(crate) lane: Lane,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
    pub(crate) times: ClaimTimes,
    /// Follows the clock of the server.
    pub(crate) clock: Arc<ServerClock>,
    /// The counters of a job that has failed before.
    pub(crate) history: Option<Arc<Counters>>,
    pub(crate) tick: Option<Tick>,
    pub(crate) call: bool,
    pub(crate) policy: Policy,
    pub(crate) headers: Headers,
    pub(crate) trace_parent: Option<TraceParent>,
    pub(crate) client: Client,
    pub(crate) progress: Arc<ProgressQueue>,
    pub(crate) states: Arc<States>,
    pub(crate) node: NodeName,
}

/// The parts of a context that jobs of a pool share.
pub(crate) struct SharedParts<'a> {
    pub(crate) clock: &'a Arc<ServerClock>,
    pub(crate) client: &'a Client,
    pub(crate) progress: &'a Arc<ProgressQueue>,
    pub(crate) states: &'a Arc<States>,
    /// The node that has claimed the job.
    pub(crate) node: &'a NodeName,
}

impl About {
    /// Returns the parts that a claim gives. `policy` is the one that holds for the job in the pool.
    pub(crate) fn of_claim(
        claim: &Claim,
        partition: &Partition,
        policy: Policy,
        shared: &SharedParts<'_>,
    ) -> Self {
        Self {
            id: claim.job_id(),
            kind: claim.envelope.kind().into(),
            partition: partition.clone(),
            lane: claim.lane,
            attempt: claim.attempt(),
            fence: claim.fence(),
            times: claim.times(),
            clock: Arc::clone(shared.clock),
            history: history_of(&claim.counters),
            tick: claim.envelope.tick().cloned(),
            call: claim.envelope.is_call(),
            policy,
            headers: claim.envelope.headers().clone(),
            trace_parent: claim.envelope.trace_parent(),
            client: shared.client.clone(),
            progress: Arc::clone(shared.progress),
            states: Arc::clone(shared.states),
            node: NodeName::clone(shared.node),
        }
    }
}

/// Returns the counters for a context, if they tell of a failure.
pub(super) fn history_of(counters: &Counters) -> Option<Arc<Counters>> {
    counters.last_failure.is_some().then(|| Arc::new(counters.clone()))
}
