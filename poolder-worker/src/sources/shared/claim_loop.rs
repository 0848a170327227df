//! The loop of a claimer: it claims as many jobs as there are free slots, never more, gives them to
//! the slots, and settles the jobs that have ended, in the same round trip as the next claim.

use std::collections::HashSet;
use std::time::Duration;

use poolder_core::broker::{ClaimConnection, NodeName};
use poolder_core::mutation::mutated;
use poolder_core::{Error, Lane};
use tokio::time::Instant;

use super::claimer::Claimer;
use super::connection::{
    AUDIT, ClaimerConnection, ConnectionState, IDLE_AUDIT, Wait, WaitInfo, start_wait,
};
use crate::process::limits::FIRST_PAUSE;
use crate::process::liveness::ShutdownPhase;
use crate::run::slot_set::SlotSet;

/// While awake slots work off the offered jobs, the claimer waits no longer than this for an event
/// before it gives every free slot a job.
const MAX_INLINE_WAIT: Duration = Duration::from_millis(2);

/// A claim that the server had not finished when its connection broke takes effect no later than
/// this: the time that it may block, and a margin.
const LATE_CLAIMS: Duration = Duration::from_secs(7);

impl Claimer {
    /// Works until the node stops and nothing is held any more. In [`ShutdownPhase::Release`]
    /// running jobs are interrupted.
    pub(crate) async fn run(mut self) -> SlotSet {
        let mut connection = ClaimerConnection::closed();
        let mut name = self.setup.identity.borrow().name.clone();
        loop {
            self.collect().await;
            if self.should_delay_settling() {
                tokio::task::yield_now().await;
                self.collect().await;
            }
            let now_named = self.setup.identity.borrow_and_update().name.clone();
            if now_named != name {
                self.abandon_claims(&name, &now_named);
                name = now_named;
                connection.close(&self.setup.client).await;
            }
            let phase = *self.setup.phase.borrow_and_update();
            if phase != ShutdownPhase::Run {
                self.wind_down(phase);
                connection.unblock(&self.setup.client).await;
                if self.held.is_empty() && !connection.is_waiting() {
                    self.leave(&name).await;
                    return self.setup.slots;
                }
            }
            self.apply_commands(&mut connection).await;
            if self.dispatch() {
                // The awake slots work off these jobs. They notify the claimer when they are done,
                // or when a handler waits after all; jobs that end meanwhile are settled together.
                let patience = Instant::now() + MAX_INLINE_WAIT;
                self.until_something(patience).await;
                if Instant::now() >= patience {
                    // A handler that blocks its thread or computes does not report this, so it
                    // counts as waiting.
                    self.setup.slots.mailbox.handler_waits();
                }
            } else {
                self.step(&mut connection, &name).await;
            }
        }
    }

    /// Removes this node's consumers, so that deploys do not accumulate them. A consumer that still
    /// holds entries, since a claim took effect without a reply, is left to the rescuers, and so is
    /// one that the server did not remove.
    async fn leave(&mut self, name: &NodeName) {
        let (broker, partition) = (self.setup.client.broker(), &self.setup.partition);
        let mut tries = 3;
        for lane in Lane::ALL {
            loop {
                match broker.remove_consumer(partition, lane, name).await {
                    Ok(true) => {}
                    Ok(false) => self.setup.slots.consumers_left = true,
                    // A connection that broke long ago is noticed only when it is used again.
                    Err(error) if error.is_unknown() && tries > 0 => {
                        tries -= 1;
                        continue;
                    }
                    Err(error) => {
                        tracing::debug!(
                            %partition, %lane, %error, "a consumer could not be removed"
                        );
                        self.setup.slots.consumers_left = true;
                    }
                }
                break;
            }
        }
    }

    /// Takes the next step: opens the connection, adopts, settles and claims, or waits.
    async fn step(&mut self, connection: &mut ClaimerConnection, name: &NodeName) {
        let now = Instant::now();
        let must_settle = !self.settling.is_empty();
        match std::mem::replace(&mut connection.state, ConnectionState::Closed) {
            ConnectionState::Closed
                if now < self.not_before || !(self.may_claim() || must_settle) =>
            {
                self.until_something(self.not_before).await;
            }
            ConnectionState::Closed => self.open(connection, name).await,
            // Claims over this connection would carry the old history, so that each of them would
            // need a careful settlement, one by one, as long as the connection is used.
            ConnectionState::Open(_) if std::mem::take(&mut self.outdated) => {
                tracing::info!(
                    partition = %self.setup.partition,
                    "the server has another history: the connection is reopened"
                );
            }
            ConnectionState::Open(mut open) => {
                if connection.adopt_at.is_some_and(|at| at <= now) || connection.audit_at <= now {
                    match self.adopt(connection, &mut open, name).await {
                        Ok(()) => connection.state = ConnectionState::Open(open),
                        Err(error) => self.back_off(&error.to_string()),
                    }
                } else if must_settle && now < self.not_before {
                    connection.state = ConnectionState::Open(open);
                    self.until_something(self.not_before).await;
                } else {
                    self.settle_and_claim(connection, open, name).await;
                }
            }
            ConnectionState::Waiting { wait, info } if must_settle && now >= self.not_before => {
                // The wait goes on meanwhile and occupies its connection, so this settlement uses
                // another one.
                let without_suspects = !info.suspects;
                connection.state = ConnectionState::Waiting { wait, info };
                let batch = std::mem::take(&mut self.settling);
                let (partition, limits) = (&self.setup.partition, self.setup.limits);
                let broker = self.setup.client.broker();
                let results = broker.settle(partition, limits, &batch).await;
                self.apply_settled(batch, results);
                if without_suspects && self.suspects_welcome() {
                    // The suspect that ran is settled, but the wait began without the suspect lane:
                    // it is ended, so that the next wait includes it.
                    connection.unblock(&self.setup.client).await;
                }
            }
            ConnectionState::Waiting { wait, info } => {
                self.wait_on(connection, wait, info, name).await;
            }
        }
    }

    async fn open(&mut self, connection: &mut ClaimerConnection, name: &NodeName) {
        let (client, limits) = (&self.setup.client, self.setup.limits);
        match ClaimConnection::open(client.broker(), &self.setup.partition, name, limits).await {
            Ok(open) => {
                self.pause = FIRST_PAUSE;
                (self.history, self.outdated) = (open.history(), false);
                connection.state = ConnectionState::Open(Box::new(open));
                // A reply may have been lost with the previous connection, and a late claim may
                // still take effect.
                connection.adopt_at = Some(Instant::now());
                connection.late = Some(Instant::now() + LATE_CLAIMS);
            }
            Err(error) => self.back_off(&error.to_string()),
        }
    }

    /// Adopts pending entries of this consumer that are missing from `held`. After a claim whose
    /// reply was lost they are adopted at once; otherwise only if two successive audits list them,
    /// as a settlement may be in flight.
    async fn adopt(
        &mut self,
        connection: &mut ClaimerConnection,
        open: &mut ClaimConnection,
        name: &NodeName,
    ) -> Result<(), Error> {
        let sure = connection.adopt_at.is_some_and(|at| at <= Instant::now());
        let mut doubtful = HashSet::new();
        for lane in Lane::ALL {
            let mut unknown = open.held(lane).await?;
            unknown
                .retain(|id| !self.held.contains_key(&(lane, id.clone())) && !mutated("adoption"));
            if !sure {
                doubtful.extend(unknown.iter().map(|id| (lane, id.clone())));
                unknown.retain(|id| connection.doubtful.contains(&(lane, id.clone())));
            }
            if unknown.is_empty() {
                continue;
            }
            tracing::info!(
                partition = %self.setup.partition, %lane, jobs = unknown.len(),
                "adopting jobs whose claim reply was lost"
            );
            let claimed = open.adopt(lane, &unknown).await?;
            self.take_claims(claimed, name, open.history().as_ref());
        }
        let idle = doubtful.is_empty() && self.held.is_empty();
        connection.doubtful = doubtful;
        connection.audit_at = Instant::now() + if idle { IDLE_AUDIT } else { AUDIT };
        if sure {
            connection.adopt_at = connection.late.take();
        }
        Ok(())
    }

    /// Settles and claims in one round trip, or starts to wait when there is nothing to do.
    async fn settle_and_claim(
        &mut self,
        connection: &mut ClaimerConnection,
        mut open: Box<ClaimConnection>,
        name: &NodeName,
    ) {
        let wanted = self.wanted();
        let suspects = self.suspects_welcome();
        let picked = if wanted > 0 { self.lanes.pick(suspects) } else { None };
        if picked.is_none() && self.settling.is_empty() {
            if wanted == 0 {
                connection.state = ConnectionState::Open(open);
                let until = connection.adopt_at.unwrap_or(connection.audit_at);
                self.until_something(until).await;
            } else {
                let info = WaitInfo { id: open.id(), unblocked: false, suspects };
                connection.state =
                    ConnectionState::Waiting { wait: start_wait(open, suspects), info };
            }
            return;
        }
        let claim = (wanted > 0).then(|| {
            let lane = picked.unwrap_or_else(|| self.lanes.likely());
            (lane, if lane.is_suspect() { 1 } else { wanted })
        });
        let batch = std::mem::take(&mut self.settling);
        match open.exchange(&batch, claim, self.lanes.are_stale()).await {
            Ok(exchange) => {
                self.apply_settled(batch, exchange.settled);
                if let Some(depths) = exchange.depths {
                    self.lanes.learn(depths);
                }
                match exchange.claimed {
                    Ok(claimed) => {
                        if let Some((lane, count)) = claim {
                            self.lanes.claimed(lane, count, claimed.len());
                        }
                        connection.audit_soon(&claimed);
                        self.take_claims(claimed, name, open.history().as_ref());
                        connection.state = ConnectionState::Open(open);
                    }
                    // Only the claim failed. The connection is reopened, and adopts entries in case
                    // the claim took effect.
                    Err(error) => self.back_off(&error.to_string()),
                }
            }
            Err(error) => {
                self.settling = batch;
                self.back_off(&error.to_string());
            }
        }
    }

    async fn wait_on(
        &mut self,
        connection: &mut ClaimerConnection,
        mut wait: Wait,
        info: WaitInfo,
        name: &NodeName,
    ) {
        let setup = &mut self.setup;
        let waited = tokio::select! {
            waited = &mut wait => Some(waited),
            () = setup.slots.mailbox.notified() => None,
            _ = setup.phase.changed() => None,
            _ = setup.target.changed() => None,
            _ = setup.identity.changed() => None,
            _ = setup.commands.changed() => None,
            () = tokio::time::sleep_until(self.not_before), if !self.settling.is_empty() => None,
        };
        match waited {
            None => connection.state = ConnectionState::Waiting { wait, info },
            Some((open, Ok(claimed))) => {
                claimed.jobs.iter().for_each(|claim| self.lanes.note_jobs(claim.lane));
                connection.audit_soon(&claimed);
                self.take_claims(claimed, name, open.history().as_ref());
                connection.state = ConnectionState::Open(Box::new(open));
            }
            Some((_, Err(error))) => self.back_off(&error.to_string()),
        }
    }

    /// Returns true when a suspect could start at once.
    fn suspects_welcome(&self) -> bool {
        self.setup.suspects.available_permits() > 0
            && !self.held.keys().any(|(lane, _)| lane.is_suspect())
    }

    /// Waits for an event of a slot, a change of phase, target, name or commands, or the given
    /// time.
    async fn until_something(&mut self, time: Instant) {
        let setup = &mut self.setup;
        let timed = time > Instant::now();
        tokio::select! {
            () = setup.slots.mailbox.notified() => {}
            _ = setup.phase.changed() => {}
            _ = setup.target.changed() => {}
            _ = setup.identity.changed() => {}
            _ = setup.commands.changed() => {}
            () = tokio::time::sleep_until(time), if timed => {}
        }
    }
}
