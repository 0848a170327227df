//! The ends of attempts: settlements of every kind, late and repeated ones, and nodes that die.

use poolder::{Lane, Timestamp};
use poolder_core::broker::{DeadLimits, NodeName, Settled, Settlement};
use poolder_core::policy::decide::{Ending, Return, Transition, Wait, decide};
use poolder_core::{Claim, Entry, Facts, Policy};

use super::{At, Walk, Wrong, must};

impl Walk<'_> {
    /// Takes some of the claims of a node, of one lane.
    pub(super) fn take(&mut self, node: usize, most: usize) -> Vec<Claim> {
        let lane = self.random.pick(&[Lane::Front, Lane::Front, Lane::Front, Lane::Suspect]);
        let held = std::mem::take(&mut self.nodes[node].held);
        let (mut taken, mut rest) = (vec![], vec![]);
        for claim in held {
            let takes = claim.lane == lane && taken.len() < most && self.random.chance(75);
            if takes { taken.push(claim) } else { rest.push(claim) }
        }
        self.nodes[node].held = rest;
        taken
    }

    pub(super) fn settlement(
        &self,
        node: usize,
        claim: &Claim,
        transition: Transition,
    ) -> Settlement {
        let node = &self.nodes[node];
        let history = node.connection.history();
        Settlement::new(claim.clone(), node.name.clone(), history, transition)
    }

    pub(super) async fn complete(&mut self, node: usize) -> Result<(), Wrong> {
        let most = self.random.pick(&[1, 1, 2, 5, 30]);
        let claims = self.take(node, most);
        let mut settlements: Vec<_> =
            claims.iter().map(|claim| self.settlement(node, claim, Transition::Complete)).collect();
        for claim in &claims {
            self.jobs.get_mut(&claim.job_id()).unwrap().at = At::Gone;
        }
        if self.random.chance(30) {
            self.former(node, &claims);
            let count = self.random.pick(&[1, 2, 8]);
            return self.admit(node, settlements, count, false).await;
        }
        // A late call for what was settled before is refused, and changes nothing.
        let late = self.late(node);
        settlements.extend(late);
        let limits = DeadLimits::default();
        let settled = self.broker.settle(&self.partition, limits, &settlements).await;
        for (at, settled) in settled.iter().enumerate() {
            let applied = matches!(settled, Settled::Applied);
            must!(applied == (at < claims.len()), "completion {at}: {settled:?}");
        }
        if self.random.chance(20) {
            let again = self.broker.settle(&self.partition, limits, &settlements).await;
            must!(!again.iter().any(|it| matches!(it, Settled::Applied)), "completed twice");
        }
        self.former(node, &claims);
        // The nodes that wait must learn of it.
        if self.random.chance(30) { self.calm().await } else { Ok(()) }
    }

    pub(super) fn former(&mut self, node: usize, claims: &[Claim]) {
        let name = self.nodes[node].name.clone();
        self.former.extend(claims.iter().map(|claim| (name.clone(), claim.clone())));
        let old = self.former.len().saturating_sub(20);
        self.former.drain(..old);
    }

    /// Returns a completion of a claim that is no longer held.
    fn late(&mut self, node: usize) -> Option<Settlement> {
        if self.former.is_empty() || !self.random.chance(30) {
            return None;
        }
        let at = self.random.below(self.former.len());
        let claim = self.former[at].1.clone();
        Some(self.settlement(node, &claim, Transition::Complete))
    }

    /// Ends attempts without completing their jobs.
    pub(super) async fn move_some(&mut self, node: usize) -> Result<(), Wrong> {
        let most = self.random.pick(&[1, 2, 5]);
        let claims = self.take(node, most);
        let how = self.random.below(6);
        let name = self.nodes[node].name.clone();
        let other: NodeName = "another".into();
        for claim in &claims {
            let (transition, at, first) = transition(claim, how);
            let history = self.nodes[node].connection.history();
            let settle = |owner: &NodeName| {
                Settlement::new(claim.clone(), owner.clone(), history.clone(), transition.clone())
            };
            let limits = DeadLimits::default();
            let settlements = [settle(&other), settle(&name), settle(&name)];
            let settled = self.broker.settle(&self.partition, limits, &settlements[..1]).await;
            must!(matches!(settled[0], Settled::Fenced), "moved by another: {settled:?}");
            let settled = self.broker.settle(&self.partition, limits, &settlements[1..]).await;
            must!(
                matches!(settled[..], [Settled::Applied, Settled::Fenced]),
                "moved {how}: {settled:?}"
            );
            let job = self.jobs.get_mut(&claim.job_id()).unwrap();
            (job.at, job.first) = (at, first);
        }
        self.former(node, &claims);
        Ok(())
    }

    pub(super) async fn kill(&mut self, node: usize) -> Result<(), Wrong> {
        let node = self.nodes.swap_remove(node);
        self.dead.push((node.name, node.held));
        self.start_node().await;
        Ok(())
    }

    /// Takes back what a dead node holds.
    pub(super) async fn rescue(&mut self) -> Result<(), Wrong> {
        let Some((name, held)) = self.dead.pop() else { return Ok(()) };
        self.former.extend(held.into_iter().map(|claim| (name.clone(), claim)));
        for lane in [Lane::Front, Lane::Suspect] {
            let held = self.broker.held_by(&self.partition, lane, &name, None).await.unwrap();
            let mut batch = vec![];
            for entry in held.entries {
                let Entry::Job(claim) = entry else { return Err("an entry is no job".into()) };
                let facts = Facts::at(Timestamp::from_millis(0));
                let ending = Ending::Crashed(name.to_string());
                let fate = decide(&Policy::default(), &claim.counters, ending, facts);
                let job = self.jobs.get_mut(&claim.job_id()).unwrap();
                job.crashes += 1;
                if let Transition::Bury { .. } = fate {
                    job.at = At::Dead;
                }
                batch.push(Settlement::new(claim, name.clone(), None, fate));
            }
            for settled in self.broker.settle(&self.partition, Default::default(), &batch).await {
                must!(matches!(settled, Settled::Applied), "a rescue: {settled:?}");
            }
        }
        Ok(())
    }
}

/// Returns a transition, where it puts the job, and whether the job then goes before the others.
fn transition(claim: &Claim, how: usize) -> (Transition, At, bool) {
    let mut counters = claim.counters.clone();
    counters.deliveries += 1;
    let year = std::time::Duration::from_secs(365 * 24 * 60 * 60);
    let failed = counters.failures > 0;
    match how {
        0 => (Transition::Bury { counters }, At::Dead, false),
        1 => (Transition::Cancel("why".into()), At::Gone, false),
        2 => {
            counters.failures += 1;
            (Transition::Later { delay: year, counters, why: Wait::Retry }, At::Due, true)
        }
        3 => {
            let first = failed || counters.home() == Lane::High;
            (Transition::Later { delay: year, counters, why: Wait::Snooze }, At::Due, first)
        }
        4 => (Transition::CompleteWith(b"result".to_vec()), At::Gone, false),
        _ => {
            let lane = if counters.is_suspect() { Lane::Suspect } else { Lane::Front };
            (Transition::Ready { lane, counters, why: Return::Release }, At::Admitted, false)
        }
    }
}
