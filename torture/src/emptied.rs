//! The drill of a server that loses its data under a node: what the code of the node declares must
//! come back by itself.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use poolder::{Client, Config, Error};
use poolder_devserver::Fsync;

use crate::batches::{self, Batches};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::child::{Common, Instructions, Worker};
use crate::job::{QUEUE, Step};
use crate::keys::{self, Keys};
use crate::processes::Handle;
use crate::rollback::copy_folder;
use crate::scene::error_text;
use crate::servers::Stand;

const NAMESPACE: &str = "emptied";
/// The name of the schedule that each node of this drill declares.
pub(crate) const SCHEDULE: &str = "declared";
/// The time within which everything must be back: a few beats and renewals.
const TARGET: Duration = Duration::from_secs(15);

/// The way in which the server loses its data.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// All keys are deleted.
    Flush,
    /// The server restarts without its file.
    EmptyRestart,
    /// The server restarts with a file from before the node started.
    Restore,
}

/// Lets the server lose its data in each way, and checks what the node declares.
pub(crate) async fn run(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    fs::create_dir_all(&folder).map_err(error_text)?;
    let stand = Stand::start(Fsync::Always, &folder)?;
    let client = Client::new(Config::new(stand.url()?).namespace(NAMESPACE)).map_err(error_text)?;
    stand.command(&["SET", "older", "state"])?;
    let (file, copy) = (stand.server()?.dir().join("appendonlydir"), folder.join("aof"));
    copy_folder(&file, &copy)?;
    let common = Common {
        url: stand.url()?,
        namespace: NAMESPACE.into(),
        ledger: folder.clone(),
        name: "node-0".into(),
        incarnation: 0,
        mutation: mutation.into(),
        queues: 1,
    };
    let beside = Beside {
        batches: Some(Batches::of(1)),
        keys: Some(Keys::of(1)),
        schedule: true,
        ..Beside::default()
    };
    let node = Worker { common, slots: 1, shutdown_millis: 30, hangs: false, beside };
    let node = Handle::start(Instructions::Worker(node), None)?;
    let mut verdict = Verdict::default();
    for loss in [Loss::Flush, Loss::EmptyRestart, Loss::Restore] {
        let missing = missing_at_last(&client).await;
        if !missing.is_empty() {
            verdict.violate("not declared", format!("before {loss:?}: {missing:?}"));
            break;
        }
        match loss {
            Loss::Flush => drop(stand.command(&["FLUSHALL"])?),
            Loss::EmptyRestart | Loss::Restore => {
                let server = stand.server()?;
                server.kill().map_err(error_text)?;
                fs::remove_dir_all(&file).map_err(error_text)?;
                if matches!(loss, Loss::Restore) {
                    copy_folder(&copy, &file)?;
                }
                server.restart().map_err(error_text)?;
            }
        }
        let missing = missing_at_last(&client).await;
        if !missing.is_empty() {
            verdict.violate("not declared again", format!("after {loss:?}: {missing:?}"));
            break;
        }
    }
    node.member.lock().await.kill().await?;
    Ok(verdict)
}

/// Waits until nothing is missing. Returns what is missing in the end.
async fn missing_at_last(client: &Client) -> Vec<String> {
    let begun = Instant::now();
    loop {
        let missing = missing(client).await.unwrap_or_else(|error| vec![error.to_string()]);
        if missing.is_empty() || begun.elapsed() > TARGET {
            return missing;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Returns the names of what the node declares and the server does not have.
async fn missing(client: &Client) -> Result<Vec<String>, Error> {
    let queues: Vec<String> = client.queues().await?.iter().map(ToString::to_string).collect();
    let mut missing: Vec<String> = [QUEUE, batches::QUEUE, keys::QUEUE]
        .iter()
        .filter(|queue| !queues.iter().any(|known| known == *queue))
        .map(|queue| format!("queue {queue} in the list"))
        .collect();
    let mut check = |what: &str, found: bool| {
        if !found {
            missing.push(what.to_owned());
        }
    };
    check("pool", client.pool::<Step>(keys::QUEUE).view().await.is_ok());
    check("batcher", client.batcher::<batches::Entry>(batches::QUEUE).flush().await.is_ok());
    check("schedule", client.schedules(QUEUE).get(SCHEDULE).await?.is_some());
    check("node", client.nodes().await?.iter().any(|node| node.info.is_some()));
    Ok(missing)
}
