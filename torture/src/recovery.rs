//! How soon the jobs of a node run elsewhere once it is killed, or told to stop: timed scenes
//! without other faults, `--recovery`.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use poolder::{Client, Config};
use poolder_devserver::Fsync;

use crate::beside::Beside;
use crate::child::{Common, Orders, Worker};
use crate::job::{Act, Step};
use crate::ledger::{self, Record};
use crate::processes::Handle;
use crate::servers::Stand;

/// Jobs that run on the node when it goes, and slots of each node.
const JOBS: usize = 100;
/// Longer than any of it takes.
const PATIENCE: Duration = Duration::from_secs(60);

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
            fs::remove_dir_all(&folder).map_err(|error| error.to_string())?;
        }
        found.sort_by(f64::total_cmp);
        let (least, median) = (found[0], found[found.len() / 2]);
        let most = found[found.len() - 1];
        good &= most <= scene.target;
        println!(
            "| {} | {rounds} | {least:.2} | {median:.2} | {most:.2} | {:.0} |",
            scene.title, scene.target
        );
    }
    Ok(good)
}

/// One node gets all the jobs, another stands by; the first goes.
async fn play(scene: &Scene, folder: &Path) -> Result<Duration, String> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(|error| error.to_string())?;
    }
    fs::create_dir_all(folder).map_err(|error| error.to_string())?;
    let place = folder.to_owned();
    let stand = tokio::task::spawn_blocking(move || Stand::start(Fsync::EverySec, &place));
    let stand = stand.await.map_err(|error| error.to_string())??;
    let url = stand.url()?;
    let client =
        Client::new(Config::new(&url).namespace("recovery")).map_err(|error| error.to_string())?;
    let node = |name: &str| {
        let common = Common {
            url: url.clone(),
            namespace: "recovery".into(),
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
    let started = |name: &'static str| move || starts(folder, name).map(|all| all.len() == JOBS);
    let first = node("node-1")?;
    // Those with even numbers end when they are told to.
    let jobs = (0..JOBS as u64).map(|n| Step { seq: 2 * n, act: Act::Done, millis: 40_000 });
    for stored in client.enqueue_many(jobs).await {
        stored.map_err(|error| error.to_string())?;
    }
    until("the first node has all jobs", started("node-1")).await?;
    let second = node("node-2")?;
    let begun = Instant::now();
    while client.nodes().await.map_err(|error| error.to_string())?.len() < 2 {
        if begun.elapsed() > PATIENCE {
            return Err("the second node did not come up".into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let at = ledger::now();
    let mut member = first.member.lock().await;
    member.dismiss();
    member.signal(scene.signal).await?;
    until("the second node has all jobs", started("node-2")).await?;
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
    let lines = ledger::read(&path).map_err(|error| error.to_string())?;
    let begun = lines.iter().filter(|line| matches!(line.record, Record::Start { .. }));
    Ok(begun.map(|line| line.at).collect())
}

async fn until(what: &str, done: impl Fn() -> Result<bool, String>) -> Result<(), String> {
    let begun = Instant::now();
    while !done()? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("waited in vain: {what}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
