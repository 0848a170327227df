//! The job, and the pool that runs it.

use std::sync::Arc;

use poolder::prelude::*;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

/// Confirms an order to its customer.
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "order.confirm", queue = "orders")]
pub(crate) struct Confirm {
    pub(crate) order: i64,
}

/// The database of the workers, and the channel on which each confirmation is reported, if there is
/// one.
#[derive(Clone)]
struct Shop {
    database: Arc<tokio_postgres::Client>,
    tell: Option<mpsc::Sender<i64>>,
}

/// Writes the confirmation under the id of the job, which is the same in every run: a job that runs
/// twice confirms once.
async fn confirm(State(shop): State<Shop>, job: Confirm, cx: Context) -> Result<(), BoxError> {
    let new = "INSERT INTO confirmations (job, order_id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
    shop.database.execute(new, &[&cx.id().to_string(), &job.order]).await?;
    if let Some(tell) = shop.tell {
        tell.send(job.order).await?;
    }
    Ok(())
}

/// Returns the pool that confirms orders. After each one it sends its number on `tell`, if given.
pub(crate) fn pool(database: tokio_postgres::Client, tell: Option<mpsc::Sender<i64>>) -> Pool {
    let shop = Shop { database: Arc::new(database), tell };
    Pool::new("orders").size(10).state(shop).worker(worker_fn(confirm))
}
