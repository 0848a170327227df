//! Takes back the entries that a consumer holds and will not settle: its node has died, or has lost
//! the reply of its claim.

use poolder_core::broker::{DeadLimits, LaneConsumer, NodeName, Settled, SlotLease};
use poolder_core::policy::decide::{Ending, Transition};
use poolder_core::{Claim, Error, Partition};

use crate::run::engine::{Engine, Guard, Origin};
use crate::run::events::{JobEvent, emit};

/// Takes back the entries of consumers of one partition.
pub(crate) struct TakeBack<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) partition: &'a Partition,
    pub(crate) limits: DeadLimits,
    /// The lease under which the entries are moved, on an addressed queue.
    pub(crate) lease: Option<&'a SlotLease>,
}

impl TakeBack<'_> {
    /// Moves all entries that the consumer holds back to their lanes or to the dead, then removes
    /// the consumer unless it belongs to this node. A crash is counted for the jobs that `ran`
    /// accepts.
    ///
    /// Each page of entries is moved in one step: a node that found only one of them left would
    /// take it for the job that ran.
    pub(crate) async fn run(
        &self,
        consumer: &LaneConsumer,
        ran: impl Fn(&Claim) -> bool,
    ) -> Result<(), Error> {
        let (broker, owner) = (self.engine.client.broker(), NodeName::from(consumer.name.as_str()));
        let origin = Origin { partition: self.partition, owner: &owner, guard: Guard::Claim(None) };
        let ending = |claim: &Claim| match ran(claim) {
            true => Ending::Crashed(consumer.name.clone()),
            false => Ending::Released,
        };
        let mut rescued = 0;
        loop {
            let held = broker.held_by(self.partition, consumer.lane, &consumer.name).await?;
            if held.is_empty() {
                break;
            }
            let before = rescued;
            let mut batch = self.engine.settle_held(origin, held, ending);
            if let Some(lease) = self.lease {
                let placement = self.engine.spec.retry_placement;
                batch = batch.into_iter().map(|it| it.under_lease(lease, placement)).collect();
            }
            let answers = broker.settle(self.partition, self.limits, &batch).await;
            for (settlement, answer) in batch.iter().zip(answers) {
                match answer {
                    Settled::Applied => {
                        rescued += 1;
                        let job = settlement.job_id();
                        emit(self.partition, JobEvent::Rescued(job, &owner));
                        if let Transition::Bury { counters } = settlement.transition() {
                            emit(self.partition, JobEvent::Died(job, counters));
                        }
                    }
                    Settled::Failed(error) => return Err(error),
                    Settled::Fenced | Settled::Epoch if self.lease.is_some() => {
                        return Err(Error::gone("the slot has another holder"));
                    }
                    // Another leader was faster.
                    Settled::Fenced | Settled::Epoch => {}
                }
            }
            // Another leader takes the entries, or they cannot be taken: in both cases the next
            // listing shows which are left.
            if rescued == before {
                break;
            }
        }
        if rescued > 0 {
            tracing::warn!(
                partition = %self.partition, lane = %consumer.lane, node = consumer.name,
                jobs = rescued, "took back the jobs that the node held"
            );
        }
        if self.lease.is_none_or(|lease| lease.node != owner) {
            broker.remove_consumer(self.partition, consumer.lane, &consumer.name).await?;
        }
        Ok(())
    }
}
