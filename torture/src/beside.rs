//! The load beside the plain jobs of a run: a schedule, a batcher, a pool that keeps the order of
//! keys, a limited queue, unique jobs, and calls with extreme settings. Each has its own queue, records
//! in the ledger, and checker.

use std::path::Path;
use std::time::Duration;

use poolder::{Client, Config};
use serde::{Deserialize, Serialize};

use crate::checker::{Fault, Verdict};
use crate::child::{Common, Instructions};
use crate::final_state::FinalState;
use crate::job;
use crate::ledger::Ledger;
use crate::servers::Stand;
use crate::{batches, extremes, keys, limits, ticks, uniques};

/// The parts of the load.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Beside {
    pub(crate) ticks: Option<ticks::Ticks>,
    pub(crate) batches: Option<batches::Batches>,
    pub(crate) keys: Option<keys::Keys>,
    pub(crate) limits: Option<limits::Limits>,
    pub(crate) extremes: Option<extremes::Extremes>,
    pub(crate) uniques: Option<uniques::Uniques>,
    /// Faults of nodes hit the leader of the schedule's partition.
    pub(crate) aim_at_leader: bool,
    /// The code of a node declares a schedule.
    pub(crate) schedule: bool,
    /// The pools of plain jobs are addressed ones.
    pub(crate) addressed: bool,
    /// How many nodes may wait for plain jobs of a queue; 0 for the default.
    pub(crate) permits: u16,
}

impl Beside {
    /// Returns a small load of every kind, for a run of this length.
    pub(crate) fn a_little(span: Duration) -> Self {
        let seconds = span.as_secs().max(1);
        Self {
            ticks: Some(ticks::Ticks { every: 1_000, count: None }),
            batches: Some(batches::Batches { entries: seconds * 100, ..batches::Batches::of(2) }),
            keys: Some(keys::Keys { jobs: seconds / 2 + 5, ..keys::Keys::of(2) }),
            limits: None,
            extremes: Some(extremes::Extremes { calls: seconds * 10 }),
            uniques: Some(uniques::Uniques::of(1, 2, seconds * 15, span)),
            aim_at_leader: false,
            schedule: false,
            addressed: false,
            // So few nodes run that with more all of them would wait.
            permits: 1,
        }
    }

    /// Returns all partitions of a run, written `queue.0`: first those of the plain jobs, which use
    /// `queues` queues.
    pub(crate) fn partitions(&self, queues: usize) -> Vec<String> {
        let plain = (0..queues as u64).map(|number| format!("{}.0", job::queue(number)));
        let mut all: Vec<String> = plain.collect();
        all.extend(self.ticks.iter().map(|_| format!("{}.0", ticks::QUEUE)));
        all.extend(self.batches.iter().map(|_| format!("{}.0", batches::QUEUE)));
        if let Some(keys) = &self.keys {
            all.extend((0..keys.slots).map(|slot| format!("{}.{slot}", keys::QUEUE)));
        }
        all.extend(self.limits.iter().map(|_| format!("{}.0", limits::QUEUE)));
        all.extend(self.extremes.iter().flat_map(|_| extremes::Extremes::partitions()));
        all.extend(self.uniques.iter().map(|_| uniques::Uniques::partition()));
        all
    }

    /// Returns the instructions of the processes that push, cast, call and send.
    pub(crate) fn producers(
        &self,
        common: impl Fn(String) -> Common,
        seed: u64,
        span: Duration,
    ) -> Vec<Instructions> {
        let mut all = vec![];
        if let Some(batches) = &self.batches {
            all.extend((0..batches.pushers).map(|index| {
                let common = common(format!("pusher-{index}"));
                Instructions::Pusher(batches.pusher(common, index, span))
            }));
        }
        if let Some(keys) = &self.keys {
            all.extend((0..keys.casters).map(|index| {
                let common = common(format!("caster-{index}"));
                Instructions::Caster(keys.caster(common, index, span))
            }));
        }
        if let Some(limits) = &self.limits {
            all.extend((0..limits.feeders).map(|index| {
                let common = common(format!("feeder-{index}"));
                Instructions::Feeder(limits.feeder(common, index, span))
            }));
        }
        if let Some(extremes) = &self.extremes {
            let caller = extremes.caller(common("caller-0".into()), seed, span);
            all.push(Instructions::Caller(caller));
        }
        if let Some(uniques) = &self.uniques {
            all.extend((0..uniques.senders).map(|index| {
                let common = common(format!("sender-{index}"));
                Instructions::Sender(uniques.sender(common, seed, index, span))
            }));
        }
        all
    }

    /// Adds the schedule.
    pub(crate) async fn begin(
        &self,
        stand: &Stand,
        namespace: &str,
        ledger: &Ledger,
    ) -> Result<(), String> {
        let Some(ticks) = &self.ticks else { return Ok(()) };
        ticks.begin(stand, &client(stand, namespace)?, ledger).await
    }

    /// Ends the schedule once it has ticked as often as planned, and records its final counters. Ends
    /// the limits once no job of their queue is left.
    pub(crate) async fn conclude(
        &self,
        stand: &Stand,
        namespace: &str,
        ledger: &Ledger,
    ) -> Result<(), String> {
        if let Some(limits) = &self.limits {
            limits.conclude(&client(stand, namespace)?, ledger).await?;
        }
        let Some(ticks) = &self.ticks else { return Ok(()) };
        ticks.conclude(&client(stand, namespace)?, ledger).await
    }

    /// Checks all parts, and adds the results to the verdict.
    pub(crate) async fn check(
        &self,
        folder: &Path,
        state: &FinalState,
        faults: &[Fault],
        verdict: &mut Verdict,
    ) -> Result<(), String> {
        if self.ticks.is_some() {
            ticks::check::Chronicle::read(folder)?.check(state, faults, verdict);
        }
        if let Some(batches) = &self.batches {
            batches::check::Chronicle::read(folder)?.check(batches, state, faults, verdict);
        }
        if self.keys.is_some() {
            keys::check::Chronicle::read(folder)?.check(state, verdict);
        }
        if let Some(limits) = &self.limits {
            let most = limits::Counter::new(&limits.counter).most().await;
            let most = most.map_err(|error| error.to_string())?;
            let of_run = (most, limits.fails_over);
            limits::check::Chronicle::read(folder)?.check(state, of_run, verdict);
        }
        if let Some(extremes) = &self.extremes {
            extremes::check::check(extremes, folder, verdict)?;
        }
        if self.uniques.is_some() {
            uniques::check::check(folder, state, faults, verdict)?;
        }
        Ok(())
    }
}

fn client(stand: &Stand, namespace: &str) -> Result<Client, String> {
    Client::new(Config::new(stand.url()?).namespace(namespace)).map_err(|error| error.to_string())
}
