//! The loop of a claimer: it claims as many jobs as there are free slots, never more, gives them to
//! the slots, and settles the jobs that have ended, in the same round trip as the next claim.

use std::collections::HashSet;
use std::time::Duration;

use poolder_client::Client;
use poolder_core::broker::{ClaimConnection, Claimed, DeadLimits, NodeName};
use poolder_core::mutation::mutated;
use poolder_core::{Error, Lane, Partition};
use tokio::time::Instant;

use super::claim_step::{self, ClaimFacts, ClaimStep, ConnectionFact};
use super::claimer::{Claimer, ClaimerSetup};
use super::connection::{AUDIT, ClaimerConnection, ConnectionState, IDLE_AUDIT};
use crate::process::liveness::ShutdownPhase;
use crate::run::slot_set::SlotSet;

/// While awake slots work off the offered jobs, the claimer waits no longer than this for an event
/// before it gives every free slot a job.
const MAX_INLINE_WAIT: Duration = Duration::from_millis(2);

/// A claim that the server had not finished when its connection broke takes effect no later than
/// this: the time that it may block, and a margin.
const LATE_CLAIMS: Duration = Duration::from_secs(7);

/// A claimer with its connection.
pub(super) struct ClaimLoop {
    pub(super) client: Client,
    pub(super) partition: Partition,
    limits: DeadLimits,
    pub(super) claimer: Claimer,
    pub(super) connection: ClaimerConnection,
    /// The consumer's name: that of the node, which changes when the node was declared dead.
    pub(super) name: NodeName,
}

impl ClaimLoop {
    pub(super) fn new(setup: ClaimerSetup) -> Self {
        let (client, partition) = (setup.engine.client.clone(), setup.partition.clone());
        let (limits, name) = (setup.limits, setup.identity.borrow().name.clone());
        let (claimer, connection) = (Claimer::new(setup), ClaimerConnection::closed());
        Self { client, partition, limits, claimer, connection, name }
    }

    /// Works until the node stops and nothing is held any more. The slots themselves interrupt the
    /// jobs that run for too long then.
    pub(super) async fn run(mut self) -> SlotSet {
        loop {
            self.claimer.collect();
            if self.claimer.should_delay_settling() {
                tokio::task::yield_now().await;
                self.claimer.collect();
            }
            let name = self.claimer.setup.identity.borrow_and_update().name.clone();
            if name != self.name {
                self.claimer.abandon_claims(&self.name, &name);
                self.name = name;
                self.claimer.permit.lost();
                self.connection.close(&self.client).await;
            }
            let phase = *self.claimer.setup.phase.borrow_and_update();
            if phase != ShutdownPhase::Run {
                self.claimer.release_waiting();
                self.unblock().await;
                if self.claimer.permit.is_entered() && !self.connection.is_waiting() {
                    self.claimer.end_wait(&self.name).await;
                }
                if self.claimer.held.is_empty() && !self.connection.is_waiting() {
                    self.leave().await;
                    return self.claimer.setup.slots;
                }
            }
            let other_wait = self.connection.waits_as_if(!self.claimer.is_limited());
            if self.claimer.apply_pause() || other_wait {
                self.unblock().await;
            }
            self.claimer.apply_cancellations().await;
            let offers = self.claimer.dispatch();
            self.claimer.start_suspects().await;
            if offers {
                // The awake slots work off these jobs. They notify the claimer when they are done,
                // or when a handler waits after all; jobs that end meanwhile are settled together.
                let patience = Instant::now() + MAX_INLINE_WAIT;
                self.claimer.until_something(patience).await;
                if Instant::now() >= patience {
                    // A handler that blocks its thread or computes does not report this, so it
                    // counts as waiting.
                    self.claimer.setup.slots.mailbox.handler_waits();
                }
            } else {
                self.step().await;
            }
        }
    }

    /// Ends a wait for jobs early.
    async fn unblock(&mut self) {
        self.connection.unblock(&self.client).await;
    }

    /// Removes this node's consumers, so that deploys do not accumulate them. A consumer that still
    /// holds entries, since a claim took effect without a reply, is left to the rescuers, and so are
    /// all that are left once the server does not remove one.
    async fn leave(&mut self) {
        let (broker, partition) = (self.client.broker(), &self.partition);
        let mut tries = 3;
        for lane in Lane::ALL {
            loop {
                match broker.remove_consumer(partition, lane, &self.name).await {
                    Ok(true) => {}
                    Ok(false) => self.claimer.setup.slots.consumers_left = true,
                    // A connection that broke long ago is noticed only when it is used again.
                    Err(error) if error.is_unknown() && tries > 0 => {
                        tries -= 1;
                        continue;
                    }
                    Err(error) => {
                        tracing::debug!(
                            %partition, %lane, %error, "a consumer could not be removed"
                        );
                        self.claimer.setup.slots.consumers_left = true;
                        return;
                    }
                }
                break;
            }
        }
    }

    /// Takes the next step: opens the connection, adopts, settles and claims, or waits.
    async fn step(&mut self) {
        let facts = self.facts();
        self.claimer.report_rest();
        match claim_step::next(&facts, &mut self.claimer.lanes) {
            ClaimStep::Pause(until) => self.claimer.until_something(until).await,
            ClaimStep::Open => self.open().await,
            ClaimStep::Close => {
                self.connection.state = ConnectionState::Closed;
                tracing::info!(
                    partition = %self.partition,
                    "the server has another history: the connection is reopened"
                );
            }
            ClaimStep::Adopt => {
                let Some(mut open) = self.connection.take_open() else { return };
                match self.adopt(&mut open).await {
                    Ok(()) => self.connection.state = ConnectionState::Open(open),
                    Err(error) => self.claimer.back_off(&error),
                }
            }
            ClaimStep::Exchange(claim) => {
                let Some(open) = self.connection.take_open() else { return };
                self.exchange(open, claim).await;
            }
            ClaimStep::Admit(count) => {
                let Some(open) = self.connection.take_open() else { return };
                self.admit(open, count).await;
            }
            ClaimStep::AwaitToken => self.await_token(),
            ClaimStep::Block { suspects, renew } => self.block(suspects, renew),
            ClaimStep::BlockJointly { suspects, renew } => self.block_jointly(suspects, renew),
            ClaimStep::GiveUp => drop(self.connection.give_up()),
            ClaimStep::AuditBeside => self.audit_beside().await,
            ClaimStep::VisitBeside => self.visit_beside().await,
            ClaimStep::AskToWait => self.claimer.ask_to_wait(&self.name).await,
            ClaimStep::Visit => {
                let Some(open) = self.connection.take_open() else { return };
                self.visit(open).await;
            }
            ClaimStep::Rest(until) => self.claimer.rest(until).await,
            ClaimStep::EndWait => self.claimer.end_wait(&self.name).await,
            ClaimStep::SettleBeside => self.settle_beside().await,
            ClaimStep::Listen => self.listen().await,
        }
    }

    fn facts(&mut self) -> ClaimFacts {
        let Self { claimer, connection, .. } = self;
        let (now, wanted) = (Instant::now(), claimer.wanted());
        let end_wait_at = claimer.end_wait_at(now, wanted);
        ClaimFacts {
            now,
            connection: match connection.state {
                ConnectionState::Closed => ConnectionFact::Closed,
                ConnectionState::Open(_) => ConnectionFact::Open,
                ConnectionState::Without => ConnectionFact::Without,
                ConnectionState::Waiting { .. } => ConnectionFact::Waiting,
            },
            may_claim: claimer.may_claim(),
            must_settle: claimer.settlements.must_send(now),
            not_before: claimer.settlements.not_before(),
            outdated: claimer.settlements.is_outdated(),
            retry_at: claimer.settlements.retry_at(),
            adopt_at: connection.adopt_at,
            audit_at: connection.audit_at,
            wanted,
            suspects: claimer.suspects_welcome(),
            look_first: match &connection.state {
                ConnectionState::Open(open) => open.is_cautious() && claimer.lanes.are_stale(),
                _ => false,
            },
            limited: claimer.is_limited().then_some(claimer.admissions),
            wait: claimer.permit.choice(now, claimer.fleet()),
            joint: connection.is_idle() && claimer.may_join(),
            end_wait_at,
        }
    }

    /// Settles over another connection, while this one waits for a job.
    async fn settle_beside(&mut self) {
        let batch = self.claimer.settlements.take();
        let results = self.client.broker().settle(&self.partition, self.limits, &batch).await;
        self.claimer.apply_settled(batch, results);
        if self.connection.waits_without_suspects() && self.claimer.suspects_welcome() {
            // The suspect that ran is settled, but the wait began without the suspect lane: it is
            // ended, so that the next wait includes it.
            self.unblock().await;
        }
    }

    async fn open(&mut self) {
        let broker = self.client.broker();
        match ClaimConnection::open(broker, &self.partition, &self.name, self.limits).await {
            Ok(open) => {
                self.claimer.settlements.connected(open.history());
                self.connection.state = ConnectionState::Open(Box::new(open));
                // A reply may have been lost with the previous connection, and a late claim may
                // still take effect.
                self.connection.adopt_at = Some(Instant::now());
                self.connection.late = Some(Instant::now() + LATE_CLAIMS);
            }
            Err(error) => {
                broker.note_outage();
                self.claimer.back_off(&error);
            }
        }
    }

    /// Adopts pending entries of this consumer that are missing from `held`. After a claim whose
    /// reply was lost they are adopted at once; otherwise only if two successive audits list them,
    /// as a settlement may be in flight.
    async fn adopt(&mut self, open: &mut ClaimConnection) -> Result<(), Error> {
        let sure = self.connection.adopt_at.is_some_and(|at| at <= Instant::now());
        let mut doubtful = HashSet::new();
        for lane in Lane::ALL {
            let mut unknown = open.held(lane).await?;
            unknown.retain(|id| {
                !self.claimer.held.contains(&(lane, id.clone())) && !mutated("adoption")
            });
            if !sure {
                doubtful.extend(unknown.iter().map(|id| (lane, id.clone())));
                unknown.retain(|id| self.connection.doubtful.contains(&(lane, id.clone())));
            }
            if unknown.is_empty() {
                continue;
            }
            tracing::info!(
                partition = %self.partition, %lane, jobs = unknown.len(),
                "adopting jobs whose claim reply was lost"
            );
            let mut claimed = Claimed::default();
            let adopted = open.adopt(lane, &unknown, &mut claimed).await;
            self.claimer.take_claims(claimed, &self.name, open.history().as_ref());
            adopted?;
        }
        let idle = doubtful.is_empty() && self.claimer.held.is_empty();
        self.connection.doubtful = doubtful;
        self.connection.audit_at = Instant::now() + if idle { IDLE_AUDIT } else { AUDIT };
        if sure {
            self.connection.adopt_at = self.connection.late.take();
        }
        Ok(())
    }

    /// Settles and claims in one round trip.
    async fn exchange(&mut self, mut open: Box<ClaimConnection>, claim: Option<(Lane, usize)>) {
        let batch = self.claimer.settlements.take();
        let limited = self.claimer.is_limited();
        let depths = !limited && self.claimer.lanes.are_stale();
        match open.exchange(&batch, claim, depths).await {
            Ok(exchange) => {
                self.claimer.apply_settled(batch, exchange.settled);
                if let Some(depths) = exchange.depths {
                    self.claimer.lanes.learn(depths);
                }
                match exchange.claimed {
                    Ok(claimed) => {
                        if limited {
                            self.claimer.admissions.claimed_suspect();
                        } else if let Some((lane, _)) = claim {
                            self.claimer.lanes.claimed(lane, exchange.asked, claimed.len());
                        }
                        self.connection.audit_soon(&claimed);
                        self.connection.looked(!claimed.is_empty());
                        self.claimer.take_claims(claimed, &self.name, open.history().as_ref());
                        self.connection.state = ConnectionState::Open(open);
                    }
                    // Only the claim failed. The connection is reopened, and adopts entries in case
                    // the claim took effect.
                    Err(error) => self.claimer.back_off(&error),
                }
            }
            Err(error) => {
                self.claimer.settlements.put_back(batch);
                self.claimer.back_off(&error);
            }
        }
    }
}
