//! The drill of a replica whose link goes dark before the primary dies: a job whose enqueue waited
//! for the replica, and was answered `Ok`, must be there.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use poolder_devserver::Server;

use super::{NAMESPACE, must, within};
use crate::beside::Beside;
use crate::checker::{History, Verdict};
use crate::child::{Common, Instructions, Producer, Worker};
use crate::final_state::{Places, is_drained};
use crate::job::{Act, QUEUE};
use crate::ledger::How;
use crate::processes::Handle;
use crate::proxy::{Proxy, Rules};
use crate::scene::error_text;

const JOBS: u64 = 2_000;
/// How long jobs are enqueued while the link works.
const LIGHT: Duration = Duration::from_secs(3);
/// While the link is dark, the connections of the producer are closed this often, after this time:
/// a connection on which nothing was written has nothing to wait for.
const CUTS: u32 = 4;
const BETWEEN_CUTS: Duration = Duration::from_millis(1_500);
/// The time for each other step.
const PATIENCE: Duration = Duration::from_secs(30);

/// Enqueues with `Durability::Replicated`, with and without a receipt, to a primary whose replica
/// hears nothing any more; kills the primary, and runs all jobs that the replica has.
pub(super) async fn dark_link(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    fs::create_dir_all(&folder).map_err(error_text)?;
    let (primary, replica) = (start()?, start()?);
    let rules = Arc::new(Rules::default());
    let link = Proxy::start("link", address(&primary)?, Arc::clone(&rules)).await;
    let link = link.map_err(error_text)?;
    let port = link.address().port().to_string();
    replica.command(&["REPLICAOF", "127.0.0.1", &port]).map_err(error_text)?;
    let up = async || {
        let about = replica.command(&["INFO", "replication"]).map_err(error_text)?;
        Ok(about.contains("master_link_status:up"))
    };
    must(within(PATIENCE, up).await?, "the replica does not follow")?;
    let common = |name: &str, url: String| Common {
        url,
        namespace: NAMESPACE.into(),
        ledger: folder.clone(),
        name: name.into(),
        incarnation: 0,
        mutation: mutation.into(),
        queues: 1,
    };
    let producer = Producer {
        common: common("producer-0", url(&primary)?),
        seed: 1,
        first: 0,
        count: JOBS,
        rate: 150.0,
        millis: 1,
        killers: 0,
        ways: vec![How::Plain, How::Later, How::Idempotent, How::IdempotentLater],
        acts: vec![Act::Done],
        replicas: 1,
    };
    let producer = Handle::start(Instructions::Producer(producer), None)?;
    tokio::time::sleep(LIGHT).await;
    link.set(|conditions| conditions.frozen = true);
    for _ in 0..CUTS {
        tokio::time::sleep(BETWEEN_CUTS).await;
        primary.command(&["CLIENT", "KILL", "TYPE", "normal"]).map_err(error_text)?;
    }
    tokio::time::sleep(BETWEEN_CUTS).await;
    primary.kill().map_err(error_text)?;
    producer.member.lock().await.kill().await?;
    replica.command(&["REPLICAOF", "NO", "ONE"]).map_err(error_text)?;

    let node = Worker {
        common: common("node-0", url(&replica)?),
        slots: 16,
        shutdown_millis: 30,
        hangs: false,
        beside: Beside::default(),
    };
    let node = Handle::start(Instructions::Worker(node), None)?;
    let places =
        Places { roster: url(&replica)?, partitions: vec![(format!("{QUEUE}.0"), url(&replica)?)] };
    let mut verdict = Verdict::default();
    if !within(PATIENCE, async || is_drained(&places, NAMESPACE).await).await? {
        verdict.violate("not drained", "the jobs of the replica".into());
    }
    node.member.lock().await.kill().await?;
    let (mut stored, mut unknown) = (0, 0);
    for (seq, job) in History::read(&folder)?.jobs {
        stored += u64::from(job.ok > 0);
        unknown += u64::from(job.ok == 0 && job.unknown > 0);
        if job.ok > 0 && job.executions.is_empty() {
            verdict.violate("lost", format!("job {seq} ({:?})", job.how));
        }
    }
    if stored == 0 || unknown == 0 {
        return Err(format!("{stored} jobs were stored, {unknown} of unknown outcome"));
    }
    Ok(verdict)
}

fn start() -> Result<Server, String> {
    let server = Server::builder().tcp().arg("maxmemory-policy", "noeviction");
    // A replica that has just connected is served at once.
    let server = server.arg("repl-diskless-sync", "yes").arg("repl-diskless-sync-delay", "0");
    server.start().map_err(error_text)
}

fn url(server: &Server) -> Result<String, String> {
    server.tcp_url().ok_or("the server has no port".into())
}

fn address(server: &Server) -> Result<SocketAddr, String> {
    Ok(([127, 0, 0, 1], server.port().ok_or("the server has no port")?).into())
}
