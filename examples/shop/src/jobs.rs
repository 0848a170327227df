//! The jobs of the shop, their workers, the schedule and the batcher.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{NodeBuilder, Result};
use serde::{Deserialize, Serialize};

use crate::store::Store;

/// Takes the money for an order.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Job)]
#[job(kind = "payment.charge", queue = "payments", attempts = 5, timeout = "10s")]
pub(crate) struct Charge {
    pub(crate) order: String,
    pub(crate) cents: u64,
}

/// Sends the parcel of an order that is paid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Job)]
#[job(kind = "parcel.ship", queue = "parcels")]
pub(crate) struct Ship {
    pub(crate) order: String,
}

/// Writes the report of a day.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Job)]
#[job(kind = "report.day", queue = "reports")]
pub(crate) struct Report {}

/// A visit of an item's page.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Visit {
    pub(crate) item: String,
}

async fn charge(State(store): State<Store>, job: Charge, cx: Context) -> Result<Outcome> {
    match store.charge(&job.order, job.cents) {
        // Repeating this cannot help.
        Err(refused) if refused.to_string().starts_with("402") => {
            return Ok(Cancel(refused.to_string()));
        }
        charged => charged?,
    }
    let ship = Ship { order: job.order.clone() };
    // The id keeps a repeated charge from sending two parcels.
    cx.client().enqueue(ship).id(job.order).idempotent(Duration::from_secs(86_400)).await?;
    Ok(Done)
}

async fn ship(State(store): State<Store>, job: Ship) {
    store.ship(&job.order);
}

async fn report(State(store): State<Store>, _: Report) {
    store.report();
}

/// Counts the visits of a batch.
#[derive(Clone)]
struct Visits(Store);

impl BatchWorker for Visits {
    type Entry = Visit;

    async fn handle_batch(&mut self, batch: &mut Batch<Visit>, _: Context) -> Result<Outcome> {
        let visits = batch.all().await?;
        self.0.count(visits.len());
        Ok(Done)
    }
}

/// Adds everything that runs the jobs of the shop to a node.
pub(crate) fn node(node: NodeBuilder, store: Store) -> NodeBuilder {
    let visits = Batcher::new("visits", Visits(store.clone())).limit(100);
    node.state(store)
        .pool(Pool::new("payments").size(10).worker(worker_fn(charge)))
        .pool(Pool::new("parcels").size(2).worker(worker_fn(ship)))
        .pool(Pool::new("reports").size(1).worker(worker_fn(report)))
        .add(visits.timeout(Duration::from_secs(1)))
        .add(Crontab::new("shop").entry("report", "0 3 * * *", Report {}))
}
