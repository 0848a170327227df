//! The trial: relays that are killed between any two steps, and a count of what has come of it.

use poolder::prelude::*;
use poolder::{Client, Result};
use tokio::sync::mpsc;

use crate::{connect, jobs, orders, relay};

/// Places an order for each step after which a relay can be killed, kills one there, and lets the
/// next one go on. Then runs the jobs, and checks that each order has one confirmation.
pub(crate) async fn run(database: &mut tokio_postgres::Client, client: Client) -> Result<()> {
    let mut placed = vec![];
    for crash in 0..=4 {
        placed.push(orders::place(database, "Ada").await?);
        // A killed process takes its connection with it, and PostgreSQL takes its transaction back.
        let mut relay = connect().await?;
        let killed = relay::step(&mut relay, &client, crash).await;
        println!(
            "order {}: a relay is killed after step {crash}: {killed:?}",
            placed[crash as usize]
        );
        drop(relay);
    }
    // A transaction that is taken back asks for nothing.
    let taken_back = database.transaction().await?;
    taken_back.execute("INSERT INTO outbox (order_id) VALUES (0)", &[]).await?;
    taken_back.rollback().await?;

    while new_rows(database).await? > 0 {
        relay::step(database, &client, relay::CRASH_NEVER).await?;
    }
    let (tell, mut told) = mpsc::channel(100);
    let expected = placed.len();
    let confirmed = async move {
        for _ in 0..expected {
            told.recv().await;
        }
    };
    let pool = jobs::pool(connect().await?, Some(tell));
    Node::builder(client.clone()).pool(pool).run_until(confirmed).await?;

    let left = client.inspect("orders").overview().await?;
    let query = "SELECT order_id, count(*) FROM confirmations WHERE order_id = ANY($1) \
                 GROUP BY order_id ORDER BY order_id";
    let confirmations = database.query(query, &[&placed]).await?;
    let once: Vec<i64> = confirmations
        .iter()
        .filter(|row| row.get::<_, i64>(1) == 1)
        .map(|row| row.get(0))
        .collect();
    println!("orders {placed:?}, confirmed once {once:?}, {} jobs left", left.ready());
    match once == placed && left.ready() == 0 {
        true => Ok(()),
        false => Err("an order was lost or doubled".into()),
    }
}

/// Returns how many rows are not sent yet. Those of a relay that was killed are locked until
/// PostgreSQL has noticed its end.
async fn new_rows(database: &tokio_postgres::Client) -> Result<i64> {
    let query = "SELECT count(*) FROM outbox WHERE sent_at IS NULL";
    Ok(database.query_one(query, &[]).await?.get(0))
}
