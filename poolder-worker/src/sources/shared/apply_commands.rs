//! Applies the operators' commands to a claimer: while the partition is paused it starts no job; a
//! cancelled job does not start, or is interrupted.

use std::collections::HashSet;

use poolder_core::Error;
use poolder_core::policy::decide::Ending;
use tokio::time::Instant;

use super::claimer::Claimer;
use super::connection::ClaimerConnection;
use crate::run::context::Interruption;
use crate::run::mailbox::EntryKey;
use crate::run::settle::unstarted;

impl Claimer {
    /// Applies the commands that are known.
    pub(super) async fn apply_commands(&mut self, connection: &mut ClaimerConnection) {
        let paused = {
            let commands = self.setup.commands.borrow();
            if commands.known() != self.applied {
                self.applied = commands.known();
                let maybe_cancelled =
                    self.held.iter().filter(|(_, held)| commands.may_cancel(held.cx.id()));
                self.to_check = maybe_cancelled.map(|(key, _)| key.clone()).collect();
            }
            commands.is_paused()
        };
        if paused {
            // Jobs that have not started go back to the queue, and so do jobs claimed while the
            // pause began.
            self.reclaim_offered();
            for work in std::mem::take(&mut self.waiting) {
                self.settling.push(unstarted(work, Ending::Released, &self.setup.clock));
            }
            connection.unblock(&self.setup.client).await;
        }
        if self.to_check.is_empty() || Instant::now() < self.not_before {
            return;
        }
        if let Err(error) = self.check_cancelled().await {
            // The same jobs are checked again later; a job that starts meanwhile is interrupted
            // then.
            self.back_off(&error.to_string());
        }
    }

    async fn check_cancelled(&mut self) -> Result<(), Error> {
        self.to_check.retain(|key| self.held.get(key).is_some_and(|held| !held.cx.is_cancelled()));
        let jobs: Vec<_> = self
            .to_check
            .iter()
            .map(|key| {
                let cx = &self.held[key].cx;
                let fresh = cx.fence() == 1 && cx.attempt() == 1;
                (cx.id(), fresh.then_some(&*key.1))
            })
            .collect();
        let verdicts =
            self.setup.client.broker().check_cancelled(&self.setup.partition, &jobs).await?;
        let asked = std::mem::take(&mut self.to_check).into_iter().zip(verdicts);
        let cancelled: HashSet<EntryKey> =
            asked.filter_map(|(key, verdict)| verdict.then_some(key)).collect();
        for key in &cancelled {
            if let Some(held) = self.held.get(key) {
                tracing::info!(
                    partition = %self.setup.partition, job = %held.cx.id(), "the job was cancelled"
                );
                held.cx.interrupt(Interruption::Cancelled);
            }
        }
        if cancelled.is_empty() {
            return Ok(());
        }
        // A job that waits for a slot has no handler that could end it.
        self.reclaim_offered();
        for work in std::mem::take(&mut self.waiting) {
            if cancelled.contains(&(work.claim.lane, work.claim.entry.clone())) {
                self.settling.push(unstarted(work, Ending::Cancelled, &self.setup.clock));
            } else {
                self.waiting.push_back(work);
            }
        }
        Ok(())
    }
}
