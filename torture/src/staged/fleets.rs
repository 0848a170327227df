//! The drills of large fleets. Most of their nodes are beats in the roster only, which the drill
//! keeps fresh.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use poolder::JobState;

use super::{KEPT, NAMESPACE, Stage, must, within};
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::job::{Act, QUEUE, Step};
use crate::processes::Handle;
use crate::scene::error_text;

/// The time for each step.
const PATIENCE: Duration = Duration::from_secs(90);
/// A dead node is noticed within this time, and a job that waits for that starts a second later.
const NOTICED: Duration = Duration::from_secs(12);
const SOON: Duration = Duration::from_secs(1);

/// Beats of nodes that do nothing else.
struct Crowd {
    ends: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Crowd {
    /// Adds `nodes` beats to the roster, and renews them until the crowd is dropped.
    fn gather(stage: &Stage, nodes: usize) -> Result<Self, String> {
        let (url, ends) = (stage.stand.url()?, Arc::new(AtomicBool::new(false)));
        let client = redis::Client::open(url).map_err(error_text)?;
        let mut connection = client.get_connection().map_err(error_text)?;
        let script = "local t = redis.call('TIME') for i = 1, ARGV[1] do redis.call('ZADD', \
                      KEYS[1], t[1] * 1000, 'crowd-' .. i) end return redis.call('ZCARD', KEYS[1])";
        let mut beat = redis::cmd("EVAL");
        beat.arg(script).arg(1).arg(roster("nodes")).arg(nodes);
        beat.query::<usize>(&mut connection).map_err(error_text)?;
        let ended = Arc::clone(&ends);
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                // A server that is gone ends the drill.
                let _ = beat.query::<usize>(&mut connection);
                std::thread::sleep(Duration::from_secs(1));
            }
        });
        Ok(Self { ends, thread: Some(thread) })
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

fn roster(key: &str) -> String {
    format!("{NAMESPACE}:{{roster}}:{key}")
}

impl Stage {
    /// Returns the members of a sorted set.
    fn members(&self, key: &str) -> Result<Vec<String>, String> {
        let listed = self.stand.command(&["ZRANGE", key, "0", "-1"])?;
        Ok(listed.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
    }

    /// Returns for how many ms a consumer of the normal lane has not looked for jobs; 0 if it never
    /// has.
    fn idle(&self, consumer: &str) -> Result<u64, String> {
        let lane = Self::key(QUEUE, "ready:normal");
        let about = self.stand.command(&["XINFO", "CONSUMERS", &lane, "workers"])?;
        let lines = about.lines().skip_while(|line| *line != consumer);
        let idle = lines.skip_while(|line| *line != "idle").nth(1);
        Ok(idle.and_then(|line| line.parse().ok()).unwrap_or(0))
    }
}

/// The nodes of [`waiters`], and how many of them may wait.
const NODES: usize = 3;
const PERMITS: u16 = 2;
/// With so many nodes in the roster a node that rests pauses for up to 40 s.
const RESTS_LONG: usize = 400;
/// After a pause of this length the next one is longer than it takes to notice a death.
const LONG_PAUSE: u64 = 9_500;

/// Kills all nodes that wait at once, while another rests. A job that comes then must start as soon
/// as their death is known, not at the next visit of the node that rests.
pub(super) async fn waiters(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let _crowd = Crowd::gather(&stage, RESTS_LONG)?;
    let mut nodes: Vec<Handle> = vec![];
    for index in 0..NODES {
        let beside = Beside { permits: PERMITS, ..Beside::default() };
        nodes.push(stage.node(index, 1, beside).await?);
    }
    let (waiting, resting) = (Stage::key(QUEUE, "waiting"), Stage::key(QUEUE, "resting"));
    let settled = async || {
        let (waits, rests) = (stage.members(&waiting)?.len(), stage.members(&resting)?.len());
        Ok(waits == usize::from(PERMITS) && waits + rests == NODES)
    };
    must(within(PATIENCE, settled).await?, "the nodes do not wait and rest")?;
    let rests = stage.members(&resting)?.remove(0);
    let mut before = 0;
    let paused = async || {
        let idle = stage.idle(&rests)?;
        let visited = idle < before;
        let long = visited && before > LONG_PAUSE;
        before = idle;
        Ok(long)
    };
    must(within(PATIENCE, paused).await?, "the node that rests makes no long pauses")?;
    let killed = Instant::now();
    for node in &nodes {
        let mut member = node.member.lock().await;
        let pid = member.pid().unwrap_or_default();
        if !rests.contains(&format!(":{pid}:")) {
            member.dismiss();
            member.kill().await?;
        }
    }
    let job = Step { seq: 0, act: Act::Done, millis: 1 };
    let job = stage.client.enqueue(job).keep_completion(KEPT).await.map_err(error_text)?;
    let mut known = None;
    let done = async || {
        if known.is_none() && !stage.members(&roster("marks"))?.is_empty() {
            known = Some(Instant::now());
        }
        Ok(stage.count(std::slice::from_ref(&job), JobState::Completed).await == 1)
    };
    let ran = within(PATIENCE, done).await?;
    let (after, since) = (killed.elapsed(), known.map(|known| known.elapsed()));
    eprintln!("torture: the job ran {after:.2?} after the kill, {since:.2?} after the first mark");
    let mut verdict = Verdict::default();
    // The job and the state are looked at every 20 ms, and beats of a busy machine come late.
    let late = after > NOTICED + SOON && since.is_none_or(|since| since > SOON);
    if !ran || late {
        verdict.violate("started late", format!("{after:.2?}, {since:?} after the first mark"));
    }
    for node in nodes {
        node.member.lock().await.kill().await?;
    }
    Ok(verdict)
}

/// With so many nodes in the roster beats stretch.
const LARGE: usize = 2_100;
/// A node that beats every 4 s is silent after 15 s, and dead 4 s later at the earliest; one that
/// beats every 2 s is dead after at most 16 s in a fleet whose other nodes beat every 4 s.
const FROZEN: Duration = Duration::from_millis(17_500);

/// Freezes a node of a large fleet for less than the time that it has promised to be silent at most.
/// The others must not declare it dead.
pub(super) async fn large_fleet(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Stage::new(mutation, folder)?;
    let _crowd = Crowd::gather(&stage, LARGE)?;
    let mut nodes: Vec<Handle> = vec![];
    for index in 0..NODES {
        nodes.push(stage.node(index, 1, Beside::default()).await?);
    }
    let victim = nodes.remove(0);
    let pid = format!(":{}:", victim.member.lock().await.pid().unwrap_or_default());
    let real = || -> Result<Vec<String>, String> {
        let all = stage.stand.command(&["HKEYS", &roster("about")])?;
        Ok(all.lines().filter(|line| !line.is_empty()).map(ToOwned::to_owned).collect())
    };
    must(within(PATIENCE, async || Ok(real()?.len() == NODES)).await?, "the nodes do not start")?;
    let name = real()?.into_iter().find(|name| name.contains(&pid)).ok_or("it has no name")?;
    let beat = || stage.stand.command(&["ZSCORE", &roster("nodes"), &name]);
    // The others have sent beats for long enough that they may declare it dead, and it freezes right
    // after a beat of its own.
    tokio::time::sleep(Duration::from_secs(25)).await;
    let before = beat()?;
    must(within(PATIENCE, async || Ok(beat()? != before)).await?, "the node does not beat")?;
    victim.member.lock().await.signal("STOP").await?;
    tokio::time::sleep(FROZEN).await;
    let marked = stage.members(&roster("marks"))?;
    victim.member.lock().await.signal("CONT").await?;
    let mut verdict = Verdict::default();
    if !marked.is_empty() {
        verdict.violate("a living node was declared dead", format!("{marked:?}"));
    }
    nodes.push(victim);
    for node in nodes {
        node.member.lock().await.kill().await?;
    }
    Ok(verdict)
}
