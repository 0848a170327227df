//! The transaction of the application. It knows no queue: it writes what shall be enqueued.

use poolder::Result;
use tokio_postgres::Client;

/// `outbox` has a row for each job. `sent_at` is null until a relay has enqueued the job. Delete rows
/// that were sent long ago, but keep them for longer than the window of the relay's enqueue.
pub(crate) const TABLES: &str = "
    CREATE TABLE IF NOT EXISTS orders (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        customer TEXT NOT NULL
    );
    CREATE TABLE IF NOT EXISTS outbox (
        id BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        order_id BIGINT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL DEFAULT now(),
        sent_at TIMESTAMPTZ
    );
    CREATE INDEX IF NOT EXISTS outbox_new ON outbox (id) WHERE sent_at IS NULL;
    CREATE TABLE IF NOT EXISTS confirmations (
        job TEXT PRIMARY KEY,
        order_id BIGINT NOT NULL
    )";

/// Stores an order, and the row that asks for its confirmation: both or neither. Returns the order.
pub(crate) async fn place(database: &mut Client, customer: &str) -> Result<i64> {
    let transaction = database.transaction().await?;
    let order = transaction
        .query_one("INSERT INTO orders (customer) VALUES ($1) RETURNING id", &[&customer])
        .await?
        .get(0);
    transaction.execute("INSERT INTO outbox (order_id) VALUES ($1)", &[&order]).await?;
    transaction.commit().await?;
    Ok(order)
}
