//! How soon the jobs of a node run elsewhere once it is killed, or told to stop: timed scenes
//! without other faults, `--recovery`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::beside::Beside;
use crate::child::{Common, Orders, Worker};
use crate::job::{Act, Step};
use crate::ledger::{self, Record};
use crate::processes::Handle;
use crate::scene::{Stage, row, told, until};

/// Jobs that run on the node when it goes, and slots of each node.
const JOBS: usize = 100;

/// How a node goes.
struct Scene {
    title: &'static str,
    signal: &'static str,
    /// In s.
    target: f64,
}

const SCENES: [Scene; 2] = [
    Scene { title: "SIGKILL of a node with 100 running jobs", signal: "KILL", target: 12.0 },
    Scene { title: "SIGTERM of a node with 100 running jobs", signal: "TERM", target: 1.0 },
];

/// Plays each scene so many times; true when each round of each kept to its target.
pub(crate) async fn run(out: &Path, rounds: usize) -> Result<bool, String> {
    let mut good = true;
    println!("all jobs had started elsewhere after, in s:\n");
    println!("| scene | rounds | least | median | most | target |\n|---|---|---|---|---|---|");
    for scene in &SCENES {
        let mut found = vec![];
        for round in 0..rounds {
            let folder = out.join(format!("recovery-{}-{round}", scene.signal.to_lowercase()));
            found.push(play(scene, &folder).await?.as_secs_f64());
            fs::remove_dir_all(&folder).map_err(told)?;
        }
        let (text, kept) = row(scene.title, &mut found, scene.target);
        good &= kept;
        println!("{text}");
    }
    Ok(good)
}

/// One node gets all the jobs, another stands by; the first goes.
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
            Orders::Worker(Worker {
                common,
                slots: JOBS,
                shutdown_millis: 30,
                beside: Beside::default(),
            }),
            None,
        )
    };
    let first = node("node-1")?;
    // Those with even numbers end when they are told to.
    let jobs = (0..JOBS as u64).map(|n| Step { seq: 2 * n, act: Act::Done, millis: 40_000 });
    for stored in stage.client.enqueue_many(jobs).await {
        stored.map_err(told)?;
    }
    let has_all = async |node: &str| Ok(starts(folder, node)?.len() == JOBS);
    until("the first node has all jobs", async || has_all("node-1").await).await?;
    let second = node("node-2")?;
    until("the second node comes up", async || {
        Ok(stage.client.nodes().await.map_err(told)?.len() == 2)
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

/// When the handlers of a node began.
fn starts(folder: &Path, node: &str) -> Result<Vec<u64>, String> {
    let path = folder.join(format!("{node}.1.jsonl"));
    if !path.exists() {
        return Ok(vec![]);
    }
    let lines = ledger::read(&path).map_err(told)?;
    let begun = lines.iter().filter(|line| matches!(line.record, Record::Start { .. }));
    Ok(begun.map(|line| line.at).collect())
}
