//! Repeats one operation, so that callgrind can count the instructions of the client or of the
//! server. The guard runs twice with different counts: the difference is the cost of the operation,
//! without start and end of the process.
//!
//! | arguments | meaning |
//! |---|---|
//! | `serve PATH` | is a scripted server, whose replies are always the same |
//! | `client URL WHAT COUNT` | runs an operation against the scripted server, under callgrind |
//! | `server URL WHAT COUNT STORED` | runs an operation against a real server under callgrind |
//!
//! The client uses one thread. So the same source gives the same count, on a busy machine as on a
//! quiet one.

mod client;
mod consumer;
mod job;
mod script;
mod server;

use std::time::Duration;

use poolder::{Client, Config};

/// The number of jobs that a claim brings.
const BATCH: usize = 64;

/// The longest duration of an operation. The scripted server may not know a new command, and then
/// the operation would wait without end.
const LIMIT: Duration = Duration::from_secs(60);

type AnyError = Box<dyn std::error::Error + Send + Sync>;

fn main() -> Result<(), AnyError> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        match words.as_slice() {
            ["serve", path] => script::serve(path).await,
            ["client", url, what, count] => {
                let work = client::work(connect(url)?, what, count.parse()?);
                tokio::time::timeout(LIMIT, work).await?
            }
            ["server", url, what, count, stored] => {
                let work = server::work(connect(url)?, what, count.parse()?, stored.parse()?);
                tokio::time::timeout(LIMIT, work).await?
            }
            _ => Err("the arguments are not understood: see the head of main.rs".into()),
        }
    })
}

fn connect(url: &str) -> Result<Client, poolder::Error> {
    Client::new(Config::new(url))
}
