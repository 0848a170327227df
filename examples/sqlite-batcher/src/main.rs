//! Loads rows into SQLite a thousand at a time. Each batch is one transaction that takes effect
//! once, however often the batch is tried. Run it in this folder with `cargo run --release`; a
//! number after `--` sets the number of rows. It starts a private Redis unless `POOLDER_REDIS_URL`
//! names one.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{Config, Result};
use rusqlite::Connection;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

#[derive(Serialize, Deserialize)]
struct Row {
    id: u64,
    city: String,
    degrees: f64,
}

struct Loader {
    database: PathBuf,
    connection: Option<Connection>,
}

/// Each slot opens its own connection.
impl Clone for Loader {
    fn clone(&self) -> Self {
        Self { database: self.database.clone(), connection: None }
    }
}

#[poolder::batcher(
    name = "rows",
    limit = 1_000,
    timeout = "1s",
    policy(attempts = 3, backoff = "100ms")
)]
impl BatchWorker for Loader {
    type Entry = Row;

    async fn handle_init(&mut self) -> Result<()> {
        self.connection = Some(open(&self.database)?);
        Ok(())
    }

    async fn handle_batch(&mut self, batch: &mut Batch<Row>, cx: Context) -> Result<Outcome> {
        let rows = batch.all().await?;
        for (index, row) in &rows {
            if !row.degrees.is_finite() {
                batch.bury(*index, format!("row {} has no temperature", row.id));
            }
        }
        let connection = self.connection.as_mut().ok_or("no connection")?;
        // SQLite blocks the thread: tokio moves the other tasks of this thread to another one.
        tokio::task::block_in_place(|| load(connection, &batch.key(), &rows))?;
        // Imitates a crash between the commit and the settlement: the next attempt finds the rows
        // loaded.
        if cx.attempt() == 1 && cx.id().as_bytes()[15].is_multiple_of(10) {
            return Err("the reply to the commit was lost".into());
        }
        Ok(Done)
    }
}

/// Inserts the rows and records the key of the batch in the same transaction. A batch whose key is
/// recorded has been loaded and is not loaded again.
fn load(connection: &mut Connection, batch: &str, rows: &[(usize, Row)]) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let note = "INSERT OR IGNORE INTO batches (key) VALUES (?1)";
    if transaction.execute(note, [batch])? == 1 {
        let mut insert = transaction.prepare_cached("INSERT INTO rows VALUES (?1, ?2, ?3)")?;
        for (_, row) in rows.iter().filter(|(_, row)| row.degrees.is_finite()) {
            insert.execute((row.id as i64, &row.city, row.degrees))?;
        }
    }
    transaction.commit()
}

fn open(database: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(database)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    // SQLite's default settings are durable: every commit is on disk.
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS rows (id INTEGER PRIMARY KEY, city TEXT, degrees REAL);
         CREATE TABLE IF NOT EXISTS batches (key TEXT PRIMARY KEY);",
    )?;
    Ok(connection)
}

fn row(id: u64) -> Row {
    let degrees = if id % 10_000 == 1_234 { f64::NAN } else { (id % 400) as f64 / 10.0 };
    Row { id, city: format!("city {}", id % 977), degrees }
}

/// Returns rows per second when each row is a transaction, without a queue.
fn one_by_one(database: &Path, count: u64) -> rusqlite::Result<f64> {
    let connection = open(database)?;
    let started = Instant::now();
    for id in 0..count {
        let Row { city, degrees, .. } = row(id);
        connection.execute("INSERT INTO rows VALUES (?1, ?2, ?3)", (id as i64, city, degrees))?;
    }
    Ok(count as f64 / started.elapsed().as_secs_f64())
}

#[tokio::main]
async fn main() -> Result<()> {
    let count: u64 = std::env::args().nth(1).map_or(Ok(100_000), |count| count.parse())?;
    let folder = std::env::temp_dir().join(format!("poolder-sqlite-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let client = match std::env::var("POOLDER_REDIS_URL") {
        Ok(_) => Client::from_env().await?,
        Err(_) => {
            let namespace = poolder_devserver::namespace("sqlite-batcher");
            Client::new(Config::new(poolder_devserver::shared()?.url()).namespace(namespace))?
        }
    };

    let database = folder.join("batches.db");
    let loader = Loader { database: database.clone(), connection: None };
    let (stop, stopped) = oneshot::channel::<()>();
    let node = Node::builder(client.clone()).add(loader);
    let node = tokio::spawn(node.run_until(async {
        let _ = stopped.await;
    }));

    let rows = Loader::on(&client);
    let started = Instant::now();
    rows.push_many((0..count).map(row)).idempotent(Duration::from_secs(3_600)).await.all()?;
    println!("pushed {count} rows in {:?}", started.elapsed());
    rows.flush().await?;
    while rows.sums().await?.waiting > 0 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let batched = count as f64 / started.elapsed().as_secs_f64();

    let check = open(&database)?;
    let sum = |what: &str| check.query_row(what, [], |row| row.get::<_, u64>(0));
    let (loaded, batches) =
        (sum("SELECT count(*) FROM rows")?, sum("SELECT count(*) FROM batches")?);
    let buried: u64 = rows.sealed(1_000).await?.iter().map(|batch| batch.len).sum();
    println!("{loaded} rows in {batches} batches, {buried} buried: they had no temperature");
    assert_eq!(loaded + buried, count, "each row is there once");

    let few = (count / 50).max(100);
    let single = one_by_one(&folder.join("single.db"), few)?;
    println!("in batches {batched:.0} rows/s, pushed and loaded; one by one {single:.0} rows/s");
    println!("that is {:.0} times as fast", batched / single);

    let _ = stop.send(());
    node.await??;
    std::fs::remove_dir_all(&folder)?;
    Ok(())
}
