//! Measures how soon the jobs of a node run on another once the node is killed or stopped: timed
//! scenes without other faults, `--recovery`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::beside::Beside;
use crate::child::{Common, Instructions, Worker};
use crate::job::{Act, Step};
use crate::ledger::{self, Record};
use crate::processes::Handle;
use crate::scene::{Stage, error_text, row, until};

/// The number of jobs that run on the node when it ends, and of the slots of each node.
const JOBS: usize = 100;

/// The way in which a node ends.
struct Scene {
    title: &'static str,
    signal: &'static str,
    /// The time limit in s.
    target: f64,
}

const SCENES: [Scene; 2] = [
    Scene { title: "SIGKILL of a node with 100 running jobs", signal: "KILL", target: 12.0 },
    Scene { title: "SIGTERM of a node with 100 running jobs", signal: "TERM", target: 1.0 },
];

/// Runs each scene `rounds` times. Returns true when every round kept the time limit.
pub(crate) async fn run(out: &Path, rounds: usize) -> Result<bool, String> {
    let mut good = true;
    println!("all jobs had started elsewhere after, in s:\n");
    println!("| scene | rounds | least | median | most | target |\n|---|---|---|---|---|---|");
    for scene in &SCENES {
        let mut found = vec![];
        for round in 0..rounds {
            let folder = out.join(format!("recovery-{}-{round}", scene.signal.to_lowercase()));
            found.push(play(scene, &folder).await?.as_secs_f64());
            fs::remove_dir_all(&folder).map_err(error_text)?;
        }
        let (text, kept) = row(scene.title, &mut found, scene.target);
        good &= kept;
        println!("{text}");
    }
    Ok(good)
}

/// Gives all jobs to one node while another is idle, and ends the first.
async fn play(scene: &Scene, folder: &Path) -> Result<Duration, String> {
    let stage = Stage::set(folder).await?;
    let node = |name: &str| {
        let common = Common {
            url: stage.url.clone(),
            namespace: stage.namespace.clone(),
            ledger: folder.to_owned(),
            name: name.into(),
            incarnation: 0,
            mutation: String::new(),
            queues: 1,
        };
        Handle::start(
            Instructions::Worker(Worker {
                common,
                slots: JOBS,
                shutdown_millis: 30,
                hangs: false,
                beside: Beside::default(),
            }),
            None,
        )
    };
    let first = node("node-1")?;
    // Handlers with even numbers return when they are cancelled.
    let jobs = (0..JOBS as u64).map(|n| Step { seq: 2 * n, act: Act::Done, millis: 40_000 });
    for stored in stage.client.enqueue_many(jobs).await {
        stored.map_err(error_text)?;
    }
    let has_all = async |node: &str| Ok(starts(folder, node)?.len() == JOBS);
    until("the first node has all jobs", async || has_all("node-1").await).await?;
    let second = node("node-2")?;
    until("the second node comes up", async || {
        Ok(stage.client.nodes().await.map_err(error_text)?.len() == 2)
    })
    .await?;
    let at = ledger::now();
    let mut member = first.member.lock().await;
    member.dismiss();
    member.signal(scene.signal).await?;
    until("the second node has all jobs", async || has_all("node-2").await).await?;
    second.member.lock().await.kill().await?;
    member.kill().await?;
    let last = starts(folder, "node-2")?.into_iter().max().unwrap_or(at);
    Ok(Duration::from_millis(last.saturating_sub(at)))
}

/// Returns the times at which handlers of a node began.
fn starts(folder: &Path, node: &str) -> Result<Vec<u64>, String> {
    let path = folder.join(format!("{node}.1.jsonl"));
    if !path.exists() {
        return Ok(vec![]);
    }
    let lines = ledger::read(&path).map_err(error_text)?;
    let begun = lines.iter().filter(|line| matches!(line.record, Record::Start { .. }));
    Ok(begun.map(|line| line.at).collect())
}
