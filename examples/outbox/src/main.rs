//! The outbox pattern by hand: a job is enqueued exactly when a transaction of PostgreSQL commits.
//!
//! An enqueue cannot be part of a transaction of another database. So the transaction writes a row
//! that says what to enqueue, beside the rows that it is about, and a relay enqueues it afterwards:
//!
//! - `outbox order NAME` stores an order and the row of its job, in one transaction;
//! - `outbox relay` enqueues the jobs of new rows, in any number of processes;
//! - `outbox worker` runs the jobs, in any number of processes;
//! - `outbox try` does all of it, with a crash between any two steps of the relay, and checks that
//!   each order is confirmed once.
//!
//! `DATABASE_URL` names the database, as in `host=/tmp user=postgres`.

mod jobs;
mod orders;
mod relay;
mod trial;

use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use tokio_postgres::NoTls;

/// The pause of a relay that has found no new row.
const PAUSE: Duration = Duration::from_millis(200);

#[tokio::main]
async fn main() -> Result<()> {
    let client = Client::lazy_from_env()?;
    let mut database = connect().await?;
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["order", name] => println!("order {}", orders::place(&mut database, name).await?),
        ["relay"] => loop {
            if relay::step(&mut database, &client, relay::CRASH_NEVER).await? == 0 {
                tokio::time::sleep(PAUSE).await;
            }
        },
        ["worker"] => {
            let database = connect().await?;
            Node::builder(client).pool(jobs::pool(database, None)).run().await?;
        }
        ["try"] => trial::run(&mut database, client).await?,
        _ => return Err("use order NAME, relay, worker or try".into()),
    }
    Ok(())
}

/// Connects to the database, and creates its tables where they are missing.
async fn connect() -> Result<tokio_postgres::Client> {
    let url = std::env::var("DATABASE_URL").map_err(|_| "DATABASE_URL is not set")?;
    let (database, connection) = tokio_postgres::connect(&url, NoTls).await?;
    tokio::spawn(connection);
    // Two processes may create the tables at the same time: the lock makes one of them wait.
    database
        .batch_execute(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock(5); {}; COMMIT",
            orders::TABLES
        ))
        .await?;
    Ok(database)
}
