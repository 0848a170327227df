//! A consumer that claims and settles as a claimer does, without slots.

use std::sync::Arc;

use poolder::Client;
use poolder_core::broker::{ClaimConnection, DeadLimits, Settled, Settlement};
use poolder_core::policy::decide::Transition;
use poolder_core::{Claim, Lane, Partition, QueueName};

use crate::{AnyError, BATCH};

pub struct Consumer {
    connection: ClaimConnection,
    owner: Arc<str>,
    history: Option<Arc<str>>,
}

impl Consumer {
    pub async fn open(client: &Client) -> Result<Self, AnyError> {
        let limits = DeadLimits::default();
        let partition = partition()?;
        let connection =
            ClaimConnection::open(client.broker(), &partition, "guard", limits).await?;
        let history = connection.history();
        Ok(Self { connection, owner: "guard".into(), history })
    }

    /// Settles claims and claims a batch from a lane, both in one round trip. Returns an error
    /// unless all claims were settled, and the batch is full.
    pub async fn exchange(
        &mut self,
        settlements: &[Settlement],
        lane: Option<Lane>,
    ) -> Result<Vec<Claim>, AnyError> {
        let claim = lane.map(|lane| (lane, BATCH));
        let exchange = self.connection.exchange(settlements, claim, claim.is_some()).await?;
        let failed = exchange.settled.iter().find(|settled| !matches!(settled, Settled::Applied));
        if let Some(failed) = failed {
            return Err(format!("a claim was not settled: {failed:?}").into());
        }
        let jobs = exchange.claimed?.jobs;
        if claim.is_some() && jobs.len() != BATCH {
            return Err(format!("{} jobs were claimed, and not {BATCH}", jobs.len()).into());
        }
        Ok(jobs)
    }

    /// Returns the settlements that end these claims with a transition.
    pub fn settlements(
        &self,
        claims: Vec<Claim>,
        transition: impl Fn(&Claim) -> Transition,
    ) -> Vec<Settlement> {
        let settle = |claim: Claim| {
            let transition = transition(&claim);
            Settlement::new(claim, self.owner.clone(), self.history.clone(), transition)
        };
        claims.into_iter().map(settle).collect()
    }
}

/// Claims `count` jobs from a lane. With `settle`, each claim also completes the jobs before it.
pub async fn claims(client: &Client, count: usize, settle: bool) -> Result<(), AnyError> {
    let mut consumer = Consumer::open(client).await?;
    let mut settlements = vec![];
    for _ in 0..count.div_ceil(BATCH) {
        let jobs = consumer.exchange(&settlements, Some(Lane::Normal)).await?;
        if settle {
            settlements = consumer.settlements(jobs, |_| Transition::Complete);
        }
    }
    Ok(())
}

/// Returns the partition of all jobs.
pub fn partition() -> Result<Partition, poolder::Error> {
    Ok(Partition::first(QueueName::new("bench")?))
}
