//! The relay: it enqueues the jobs of rows that are not sent yet, and marks the rows.
//!
//! The id of a row is the id of its job, and the enqueue is idempotent. So a relay that ends between
//! any two steps, without knowing whether the job was stored, leaves a row that the next relay may
//! simply enqueue again.

use std::time::Duration;

use poolder::{Client, Result};

use crate::jobs::Confirm;

/// The most rows of a step.
const MOST: i64 = 100;

/// How long an enqueue with the id of a row stores no second job. A relay that has stopped for
/// longer than this between an enqueue and its mark would enqueue again; the handler then finds its
/// own work done.
const WINDOW: Duration = Duration::from_secs(24 * 3_600);

/// For the trial: the number of steps after which the relay ends as if it were killed.
pub(crate) type CrashAfter = u32;

/// A relay that is not killed.
pub(crate) const CRASH_NEVER: CrashAfter = u32::MAX;

/// Enqueues the jobs of up to 100 new rows. Returns their number.
///
/// The rows are locked until they are marked, and rows that another relay has locked are passed
/// over, so that several relays share the work. Nothing depends on the locks: without them a job
/// would be enqueued twice and stored once.
pub(crate) async fn step(
    database: &mut tokio_postgres::Client,
    client: &Client,
    crash: CrashAfter,
) -> Result<usize> {
    let dies = |done: u32| match done == crash {
        true => Err("killed"),
        false => Ok(()),
    };
    dies(0)?;
    let transaction = database.transaction().await?;
    let rows = transaction
        .query(
            "SELECT id, order_id FROM outbox WHERE sent_at IS NULL \
             ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED",
            &[&MOST],
        )
        .await?;
    dies(1)?;
    let mut sent: Vec<i64> = vec![];
    for row in &rows {
        let (id, order): (i64, i64) = (row.get(0), row.get(1));
        // An error leaves the row as it is, whether the job was stored or not.
        client.enqueue(Confirm { order }).id(format!("outbox-{id}")).idempotent(WINDOW).await?;
        sent.push(id);
        dies(2)?;
    }
    transaction.execute("UPDATE outbox SET sent_at = now() WHERE id = ANY($1)", &[&sent]).await?;
    dies(3)?;
    transaction.commit().await?;
    dies(4)?;
    Ok(sent.len())
}
