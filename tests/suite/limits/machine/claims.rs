//! Claims, and what they may bring.

use std::collections::{BTreeMap, BTreeSet};

use poolder::{JobId, Lane};
use poolder_core::Claim;
use poolder_core::broker::{Settled, Settlement};

use super::super::check::Snapshot;
use super::rates::Buckets;
use super::{At, Walk, Wrong, must};

impl Walk<'_> {
    pub(super) async fn claim(&mut self, node: usize) -> Result<(), Wrong> {
        let count = self.random.pick(&[1, 1, 2, 3, 8, 20]);
        self.admit(node, vec![], count, false).await
    }

    /// Settles and claims in one round trip.
    pub(super) async fn admit(
        &mut self,
        node: usize,
        settlements: Vec<Settlement>,
        count: usize,
        woken: bool,
    ) -> Result<(), Wrong> {
        let (before, buckets) = (self.admitted().await, self.buckets().await);
        let turns = Snapshot::read(self).await;
        let connection = &mut self.nodes[node].connection;
        let admitted = connection.admit(&settlements, count, woken).await;
        let (exchange, admission) = admitted.map_err(|error| error.to_string())?;
        for settled in &exchange.settled {
            must!(matches!(settled, Settled::Applied), "{settled:?}");
        }
        let claimed = exchange.claimed.map_err(|error| error.to_string())?;
        must!(claimed.undecodable.is_empty(), "{claimed:?}");
        let started = self.note_admitted(&before, &buckets).await?;
        // What was settled in the same round trip may give a group its turn, and a group whose next job
        // costs more than the queue has left goes on before the others.
        if settlements.is_empty() && self.limits.rate.is_none() {
            Snapshot::read(self).await.compare_turns(&turns, &started, self)?;
        }
        let brought: BTreeSet<JobId> = claimed.jobs.iter().map(Claim::job_id).collect();
        for entry in self.entries(Lane::Front).await {
            let held = before.contains(&entry.job) || brought.contains(&entry.job);
            must!(held, "a job was admitted that the call has not claimed");
        }
        let left = self.unclaimed(Lane::Front).await.len();
        must!(left == 0 || claimed.len() == count, "{left} were left in front");
        let suspects = self.unclaimed(Lane::Suspect).await.len() as u64;
        must!(admission.suspects == suspects, "{} suspects, not {suspects}", admission.suspects);
        let node = &mut self.nodes[node];
        node.waits = claimed.len() < count;
        node.held.extend(claimed.jobs);
        Ok(())
    }

    /// Compares what was admitted since `before` with what may be, and notes it. Returns the groups
    /// that have started a job.
    async fn note_admitted(
        &mut self,
        before: &BTreeSet<JobId>,
        buckets: &Buckets,
    ) -> Result<BTreeSet<String>, Wrong> {
        let mut started: BTreeMap<String, Vec<JobId>> = BTreeMap::new();
        for lane in [Lane::Front, Lane::Suspect] {
            for entry in self.entries(lane).await {
                if before.contains(&entry.job) {
                    continue;
                }
                let job = &self.jobs[&entry.job];
                must!(job.at == At::Waiting, "a job was admitted that is {:?}", job.at);
                let group = entry.group.as_deref();
                must!(group == Some(&job.group), "the permit is one of {group:?}");
                let suspect = lane.is_suspect();
                must!(suspect == (job.crashes >= 2), "after {} crashes in {lane}", job.crashes);
                started.entry(job.group.clone()).or_default().push(entry.job);
            }
        }
        let all = self.admitted().await.len();
        if !started.is_empty()
            && let Some(most) = self.limits.concurrency
        {
            must!(all <= most as usize, "over the limit of the queue: {all} of {most}");
        }
        self.check_taken(buckets, &started).await?;
        self.check_held(started.keys())?;
        let groups = started.keys().cloned().collect();
        for (group, jobs) in started {
            must!(!self.paused.contains(&group), "{group:?} is paused, and starts jobs");
            let order = self.order.get_mut(&group).unwrap();
            let first: BTreeSet<JobId> = order.drain(..jobs.len().min(order.len())).collect();
            let both: BTreeSet<JobId> = jobs.iter().copied().collect();
            must!(first == both, "the order of {group:?}");
            for id in jobs {
                self.jobs.get_mut(&id).unwrap().at = At::Admitted;
            }
            let running =
                self.jobs.values().filter(|job| job.group == group && job.at == At::Admitted);
            let (running, most) = (running.count(), self.limit_of(&group));
            let most = most.map_or(usize::MAX, |most| most as usize);
            must!(running <= most, "over the limit of a group: {running} of {most}");
        }
        Ok(groups)
    }

    pub(super) async fn claim_suspect(&mut self, node: usize) -> Result<(), Wrong> {
        let connection = &mut self.nodes[node].connection;
        let exchange = connection.exchange(&[], Some((Lane::Suspect, 1)), false).await.unwrap();
        self.nodes[node].held.extend(exchange.claimed.unwrap().jobs);
        Ok(())
    }

    /// Lets nothing happen but wakes and claims: then nothing may be left that could start while a
    /// node waits.
    pub(super) async fn calm(&mut self) -> Result<(), Wrong> {
        if self.random.chance(50) {
            self.pass_time().await?;
        }
        for _ in 0..60 {
            let waits: Vec<usize> =
                (0..self.nodes.len()).filter(|node| self.nodes[*node].waits).collect();
            if waits.is_empty() {
                return Ok(());
            }
            let mut pop = redis::cmd("LPOP");
            pop.arg(self.key("limits:wake"));
            let token: Option<String> = pop.query_async(&mut self.raw).await.unwrap();
            if token.is_none() {
                break;
            }
            let (node, count) = (self.random.pick(&waits), self.random.pick(&[1, 2, 3]));
            self.admit(node, vec![], count, true).await?;
        }
        let full = match self.limits.concurrency {
            Some(most) => self.admitted().await.len() >= most as usize,
            None => false,
        };
        let waits = self.nodes.iter().any(|node| node.waits);
        let snapshot = Snapshot::read(self).await;
        // The leader knows when the queue may start the next job.
        let again: Option<u64> = redis::cmd("HGET")
            .arg(self.key("limits"))
            .arg("again")
            .query_async(&mut self.raw)
            .await
            .unwrap();
        must!(
            !waits || full || snapshot.turns.is_empty() || again.is_some(),
            "a node waits, {:?} could start, and no token is there",
            snapshot.turns
        );
        Ok(())
    }
}
