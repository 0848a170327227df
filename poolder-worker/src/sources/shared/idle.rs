//! The steps of a claimer while its lanes are empty: it waits for a job, alone or together with the
//! other pools of the node, or looks for jobs from time to time.

use std::sync::Arc;

use poolder_core::Error;
use poolder_core::broker::{ClaimConnection, Claimed};
use tokio::time::Instant;

use super::claim_loop::ClaimLoop;
use super::claimer::Claimer;
use super::connection::{
    ConnectionState, EndOfWait, HowToEnd, IDLE_AUDIT, WaitInfo, lanes, start_joint_wait,
    start_token_wait, start_wait, wait_part,
};
use crate::process::watching::changed;
use crate::run::context::past;
use crate::services::joint_wait::Member;

impl ClaimLoop {
    /// Begins to wait for a job over the claimer's connection.
    pub(super) fn block(&mut self, suspects: bool, renew: bool) {
        let Some(open) = self.connection.take_open() else { return };
        if renew {
            self.claimer.permit.renewed(Instant::now());
        }
        let (part, end) = (wait_part(&self.partition, suspects, renew), HowToEnd::Own(open.id()));
        let wait = start_wait(open, part, self.claimer.setup.engine.clock.now());
        let info = WaitInfo { end, unblocked: false, suspects, limited: false };
        self.connection.state = ConnectionState::Waiting { wait, info };
    }

    /// Begins to wait together with other pools. They use the connection, or close it.
    pub(super) fn block_jointly(&mut self, suspects: bool, renew: bool) {
        if renew {
            self.claimer.permit.renewed(Instant::now());
        }
        let joint = self.claimer.setup.joint_wait.clone();
        let member = Member {
            part: wait_part(&self.partition, suspects, renew),
            consumer: self.name.clone(),
            connection: self.connection.give_up(),
        };
        let wait = start_joint_wait(joint.clone(), member);
        let end = HowToEnd::Joint(joint);
        let info = WaitInfo { end, unblocked: false, suspects, limited: false };
        self.connection.state = ConnectionState::Waiting { wait, info };
    }

    /// Begins to wait until a job of a limited queue may start.
    pub(super) fn await_token(&mut self) {
        let Some(open) = self.connection.take_open() else { return };
        let (end, suspects) = (HowToEnd::Own(open.id()), self.claimer.suspects_welcome());
        let info = WaitInfo { end, unblocked: false, suspects, limited: true };
        self.connection.state = ConnectionState::Waiting { wait: start_token_wait(open), info };
    }

    /// Looks for jobs without blocking.
    pub(super) async fn visit(&mut self, mut open: Box<ClaimConnection>) {
        let lanes = lanes(self.claimer.suspects_welcome());
        let now = self.claimer.setup.engine.clock.now();
        match open.visit(&lanes, now).await {
            Ok(visit) => {
                self.claimer.visited(&visit);
                self.take_unmeasured(visit.claimed, open.history().as_ref());
                self.connection.state = ConnectionState::Open(open);
            }
            Err(error) => self.claimer.back_off(&error),
        }
    }

    /// Does the same over another connection.
    pub(super) async fn visit_beside(&mut self) {
        let joint = self.claimer.setup.joint_wait.clone();
        let _turn = joint.turn_to_visit().await;
        let lanes = lanes(self.claimer.suspects_welcome());
        let (broker, now) = (self.client.broker(), self.claimer.setup.engine.clock.now());
        match broker.visit(&self.partition, &self.name, &lanes, now).await {
            Ok(visit) => {
                self.claimer.visited(&visit);
                // The history of that connection is not known.
                self.take_unmeasured(visit.claimed, None);
            }
            Err(error) => self.fail_beside(&error),
        }
    }

    /// Looks over another connection whether the server holds entries for this consumer, which has
    /// none: then it opens a connection and adopts them.
    pub(super) async fn audit_beside(&mut self) {
        match self.client.broker().holds_claims(&self.partition, &self.name).await {
            Ok(true) => self.connection.state = ConnectionState::Closed,
            Ok(false) => self.connection.audit_at = Instant::now() + IDLE_AUDIT,
            Err(error) => self.fail_beside(&error),
        }
    }

    /// Reports the failure of a request over another connection. The reply may have had jobs, which
    /// the connection that is opened next adopts.
    fn fail_beside(&mut self, error: &Error) {
        self.connection.state = ConnectionState::Closed;
        self.claimer.back_off(error);
    }

    /// Takes over the jobs of a wait or a visit, which claims one of each lane.
    fn take_unmeasured(&mut self, claimed: Claimed, history: Option<&Arc<str>>) {
        claimed.jobs.iter().for_each(|claim| self.claimer.lanes.note_jobs(claim.lane));
        self.connection.audit_soon(&claimed);
        self.connection.looked(!claimed.is_empty());
        self.claimer.take_claims(claimed, &self.name, history);
    }

    /// Goes on waiting for a job, until an event needs the claimer.
    pub(super) async fn listen(&mut self) {
        let state = std::mem::replace(&mut self.connection.state, ConnectionState::Closed);
        let ConnectionState::Waiting { mut wait, info } = state else { return };
        let Claimer { setup, settlements, .. } = &mut self.claimer;
        let settle_at = match settlements.must_send(Instant::now()) {
            true => Some(settlements.not_before()),
            false => settlements.retry_at().map(|at| at.max(settlements.not_before())),
        };
        let waited = tokio::select! {
            waited = &mut wait => Some(waited),
            () = setup.slots.mailbox.notified() => None,
            () = changed(&mut setup.phase) => None,
            () = changed(&mut setup.target) => None,
            () = changed(&mut setup.identity) => None,
            () = changed(&mut setup.commands) => None,
            () = past(settle_at) => None,
        };
        match waited {
            None => self.connection.state = ConnectionState::Waiting { wait, info },
            Some(Ok(EndOfWait { waited, state, history })) => {
                if waited.permit_lost {
                    self.claimer.permit.lost();
                }
                if info.limited {
                    self.claimer.admissions.waited(waited.woken);
                } else if waited.claimed.is_empty() && info.suspects {
                    self.claimer.lanes.waited_in_vain();
                }
                self.connection.state = state;
                self.take_unmeasured(waited.claimed, history.as_ref());
            }
            Some(Err(error)) => self.claimer.back_off(&error),
        }
    }
}
