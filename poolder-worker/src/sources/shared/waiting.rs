//! Asks for wait permits, gives them up, and rests while other nodes wait for jobs.

use std::collections::BTreeSet;

use poolder_core::broker::{NodeName, Visit};
use tokio::time::Instant;

use super::claimer::Claimer;
use super::wait_permit::Fleet;
use crate::process::watching::changed;

impl Claimer {
    /// Returns what is known about the fleet.
    pub(super) fn fleet(&self) -> Fleet {
        let news = &self.setup.fleet;
        Fleet { nodes: *news.nodes.borrow(), hints: *news.hints.borrow() }
    }

    /// Returns true while the queue has limits.
    pub(super) fn is_limited(&self) -> bool {
        self.setup.commands.borrow().is_limited()
    }

    /// Returns when to give the wait permit up, or to wake others for jobs that are left.
    pub(super) fn end_wait_at(&mut self, now: Instant, wanted: usize) -> Option<Instant> {
        // On a limited queue nodes wait for tokens, without permits.
        let full = wanted == 0 && self.may_claim() && !self.is_limited();
        self.permit.end_at(now, self.fleet(), full, self.lanes.have_jobs())
    }

    /// Returns true when an idle claimer may wait together with other pools of the node. It holds
    /// nothing, so that nothing is settled over its connection.
    pub(super) fn may_join(&self) -> bool {
        self.held.is_empty()
            && self.settlements.is_empty()
            && self.setup.joint_wait.is_open()
            && !self.setup.engine.client.broker().has_lost_replies()
    }

    /// Tells the services whether the claimer rests.
    pub(super) fn report_rest(&self) {
        let rests = self.permit.is_resting(self.fleet());
        self.setup.fleet.rests.send_if_modified(|known| std::mem::replace(known, rests) != rests);
    }

    /// Asks for a wait permit.
    pub(super) async fn ask_to_wait(&mut self, name: &NodeName) {
        let dead = self.setup.fleet.dead.borrow().clone();
        let (broker, partition) = (self.setup.engine.client.broker(), &self.setup.partition);
        let dead = dead.iter().map(String::as_str);
        match broker.begin_wait(partition, name, self.permit.most(), dead).await {
            Ok(answer) => {
                self.lanes.learn(answer.depths);
                self.permit.answered(Instant::now(), self.fleet(), answer.permit);
            }
            Err(error) => {
                self.permit.failed(Instant::now());
                self.back_off(&error);
            }
        }
    }

    /// Gives the wait permit up, and wakes others.
    pub(super) async fn end_wait(&mut self, name: &NodeName) {
        let (broker, partition) = (self.setup.engine.client.broker(), &self.setup.partition);
        match broker.end_wait(partition, name, self.permit.least()).await {
            Ok(woken) => self.permit.ended(Instant::now(), woken),
            // The permit ends by itself.
            Err(error) => {
                self.permit.ended(Instant::now(), 0);
                self.back_off(&error);
            }
        }
    }

    /// Notes what a visit has found.
    pub(super) fn visited(&mut self, visit: &Visit) {
        let dead: &BTreeSet<String> = &self.setup.fleet.dead.borrow();
        let free = visit.holders.len() < usize::from(self.permit.most())
            || visit.holders.iter().any(|holder| dead.contains(holder));
        let jobs = !visit.claimed.is_empty();
        // A node that is not entered could not be woken.
        let ask = free || !visit.entered;
        self.permit.visited(Instant::now(), self.fleet(), jobs, ask);
    }

    /// Rests until the given time, or until something changes: another node wakes this one, a node
    /// has died, or the claimer has something else to do.
    pub(super) async fn rest(&mut self, until: Instant) {
        let news = &self.setup.fleet;
        let (mut dead, mut nodes, mut hints) =
            (news.dead.clone(), news.nodes.clone(), news.hints.clone());
        let died = tokio::select! {
            () = self.until_something(until) => return,
            () = changed(&mut dead) => true,
            () = changed(&mut nodes) => false,
            () = changed(&mut hints) => false,
        };
        let news = &mut self.setup.fleet;
        (news.dead, news.nodes, news.hints) = (dead, nodes, hints);
        if died {
            self.permit.node_died(Instant::now(), self.fleet());
        }
    }
}
