//! Ticks while leaders are killed, paused and terminated, and while the server restarts: each tick
//! is published once, and none is left out. The torture does the same for longer and with more
//! faults: `cargo xtask torture --profile schedules`.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{ScheduleInfo, Timestamp};
use poolder_devserver::{Fsync, Server};
use tokio::process::Child;

use crate::child::{itself, signal};
use crate::harness::{Number, PATIENCE, Space, eventually, start, teller, within};
use crate::log::Log;

const CHILD: &str = "POOLDER_SUITE_TICKS_CHILD";

/// A fault during a run.
#[derive(Debug, Clone, Copy)]
enum Fault {
    /// The leader is killed.
    Kill,
    /// The leader receives SIGTERM.
    Term,
    /// The server is killed and started again.
    Restart,
}

/// The body of a child process: a node that records in Redis which ticks it ran.
#[tokio::test]
async fn node() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .with_writer(std::io::stderr)
        .try_init();
    let url = std::env::var("POOLDER_REDIS_URL").unwrap();
    let notes = notes(&std::env::var("POOLDER_NAMESPACE").unwrap());
    let server = redis::Client::open(url).unwrap();
    let mut connection = server.get_multiplexed_async_connection().await.unwrap();
    let (now, _): (i64, i64) = redis::cmd("TIME").query_async(&mut connection).await.unwrap();
    let ahead = Timestamp::now().millis() / 1_000 - now;
    let mut note = redis::cmd("HSET");
    note.arg(format!("{notes}:clocks")).arg(std::process::id()).arg(ahead);
    note.exec_async(&mut connection).await.unwrap();
    let worker = worker_fn(move |_: Number, cx: Context| {
        let (server, notes) = (server.clone(), notes.clone());
        async move {
            let mut connection = server.get_multiplexed_async_connection().await?;
            let tick = cx.tick().ok_or("no tick")?.at().millis();
            redis::cmd("RPUSH").arg(notes).arg(tick).exec_async(&mut connection).await?;
            Ok::<_, BoxError>(Done)
        }
    });
    Node::builder(Client::from_env().await.unwrap())
        .pool(Pool::new("q").size(8).worker(worker))
        .shutdown_timeout(Duration::from_secs(2))
        .run()
        .await
        .unwrap();
}

fn notes(namespace: &str) -> String {
    format!("{namespace}:notes")
}

/// Starts a node process, with its own clock if the shim could be built.
fn spawn(space: &Space, clock: Option<&Clock>) -> Child {
    let mut command = itself("ticks::node", space);
    if let Some(Clock { shim, file }) = clock {
        command.env("LD_PRELOAD", shim).env("POOLDER_SKEW", file);
    }
    command.env(CHILD, "1").spawn().unwrap()
}

/// A clock that is some minutes ahead of this host's, or behind it.
struct Clock {
    shim: PathBuf,
    file: PathBuf,
}

impl Clock {
    /// Builds the shim. Returns `None` where there is no C compiler.
    fn ahead(folder: &std::path::Path, minutes: i64) -> Option<Self> {
        let (shim, file) = (folder.join("skew.so"), folder.join(format!("skew{minutes}")));
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/torture/shim/skew.c");
        let mut compiler = std::process::Command::new("cc");
        compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&shim).arg(source);
        let built = compiler.output().ok()?;
        assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
        std::fs::write(&file, (minutes * 60_000).to_ne_bytes()).unwrap();
        Some(Self { shim, file })
    }
}

/// Some nodes and a schedule of which no tick may be left out.
struct Fleet<'a> {
    space: &'a Space,
    nodes: Vec<Child>,
    clocks: Vec<Option<Clock>>,
    first: Timestamp,
    every: Duration,
}

impl<'a> Fleet<'a> {
    async fn start(space: &'a Space, clocks: Vec<Option<Clock>>, every: Duration) -> Self {
        let nodes = clocks.iter().map(|clock| spawn(space, clock.as_ref())).collect();
        let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(200)));
        let missed = Missed::All { most: 10_000, within: Duration::from_secs(3_600) };
        let schedule = space.client.schedule("s", every, Number(1)).policy(policy);
        let first = schedule.missed(missed).await.unwrap().last;
        let fleet = Self { space, nodes, clocks, first, every };
        fleet.until_ticks(1).await;
        fleet
    }

    async fn info(&self) -> Option<ScheduleInfo> {
        self.space.client.schedules("q").get("s").await.ok()?
    }

    /// Waits for `more` further ticks.
    async fn until_ticks(&self, more: u64) {
        let before = self.info().await.map_or(0, |info| info.runs);
        eventually("more ticks", || async {
            self.info().await.is_some_and(|info| info.runs >= before + more)
        })
        .await;
    }

    /// Waits until a node leads, and returns its index.
    async fn leader(&mut self) -> usize {
        let deadline = Instant::now() + PATIENCE;
        loop {
            assert!(Instant::now() < deadline, "no node leads");
            let leader = self.space.overview("q").await.state.leader;
            // The name of a node is host:pid:unique.
            let pid = leader.and_then(|leader| leader.node.split(':').nth(1)?.parse().ok());
            if let Some(at) = self.nodes.iter().position(|node| node.id() == pid) {
                return at;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    async fn suffer(&mut self, fault: Fault, server: Option<&Server>) {
        match fault {
            Fault::Kill | Fault::Term => {
                let at = self.leader().await;
                let name = if matches!(fault, Fault::Kill) { "KILL" } else { "TERM" };
                signal(&self.nodes[at], name).await;
                within(self.nodes[at].wait()).await.unwrap();
                self.nodes[at] = spawn(self.space, self.clocks[at].as_ref());
            }
            Fault::Restart => {
                let server = server.expect("a server of its own");
                server.kill().unwrap();
                // Three ticks pass during the outage.
                tokio::time::sleep(3 * self.every).await;
                server.restart().unwrap();
            }
        }
        self.until_ticks(2).await;
    }

    /// Ends the schedule, waits for its jobs, and compares the recorded ticks with the expected
    /// ones.
    async fn conclude(self) {
        let schedules = self.space.client.schedules("q");
        schedules.pause("s").await.unwrap();
        let info = schedules.get("s").await.unwrap().unwrap();
        let passed = info.last.since(self.first).as_millis() / self.every.as_millis();
        assert_eq!((u128::from(info.runs), info.missed), (passed, 0), "each tick once: {info:?}");
        self.space.until_count("q", "completed", info.runs).await;
        let mut all = redis::cmd("LRANGE");
        all.arg(notes(self.space.name())).arg(0).arg(-1);
        let notes: Vec<i64> = self.space.redis(&mut all).await;
        // A job may run twice when its node dies; it belongs to one tick all the same.
        let ran: BTreeSet<i64> = notes.into_iter().collect();
        let step = i64::try_from(self.every.as_millis()).unwrap();
        let expected: Vec<i64> = (1..=i64::try_from(info.runs).unwrap())
            .map(|tick| self.first.millis() + tick * step)
            .collect();
        assert_eq!(ran.into_iter().collect::<Vec<_>>(), expected, "none is left out");
        assert_eq!(self.space.count("q", "completed").await, info.runs, "each completed once");
    }
}

#[tokio::test]
async fn no_tick_is_left_out_or_published_twice_when_leaders_die_or_go() {
    let space = Space::new("takeover");
    let mut fleet = Fleet::start(&space, vec![None, None], Duration::from_millis(200)).await;
    fleet.suffer(Fault::Kill, None).await;
    fleet.suffer(Fault::Term, None).await;
    fleet.conclude().await;
}

#[tokio::test]
async fn ticks_that_passed_while_the_server_was_away_are_made_up_for() {
    let server = Server::builder().aof(Fsync::Always).start().unwrap();
    let space = Space::on(server.url(), "restart");
    let mut fleet = Fleet::start(&space, vec![None, None], Duration::from_millis(100)).await;
    fleet.suffer(Fault::Restart, Some(&server)).await;
    fleet.conclude().await;
}

#[tokio::test]
async fn nodes_whose_clocks_are_five_minutes_apart_publish_the_same_ticks() {
    if !cfg!(target_os = "linux") {
        eprintln!("skipped: clocks are set by LD_PRELOAD, which this system does not have");
        return;
    }
    let space = Space::new("skewed");
    let folder = std::env::temp_dir().join(space.name().replace(':', "-"));
    std::fs::create_dir_all(&folder).unwrap();
    let clocks: Option<Vec<_>> = [2, -3].iter().map(|m| Clock::ahead(&folder, *m)).collect();
    let Some(clocks) = clocks else {
        eprintln!("skipped: there is no C compiler `cc` to build the clocks with");
        return;
    };
    let clocks = clocks.into_iter().map(Some).collect();
    let mut fleet = Fleet::start(&space, clocks, Duration::from_millis(200)).await;
    // Every node leads for a while, and is terminated.
    let mut led = BTreeSet::new();
    while led.len() < 2 {
        let leader = fleet.leader().await;
        led.insert(leader);
        fleet.suffer(Fault::Term, None).await;
    }
    let mut clocks = redis::cmd("HVALS");
    clocks.arg(format!("{}:clocks", notes(space.name())));
    let ahead: Vec<i64> = space.redis(&mut clocks).await;
    let minutes: BTreeSet<i64> =
        ahead.iter().map(|seconds| (seconds + 30).div_euclid(60)).collect();
    assert_eq!(minutes, BTreeSet::from([-3, 2]), "the clocks were set: {ahead:?}");
    fleet.conclude().await;
    std::fs::remove_dir_all(&folder).unwrap();
}

#[tokio::test]
async fn who_leads_is_seen_by_the_inspector_and_in_the_logs() {
    let space = Space::new("leads");
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    eventually("it leads", || async { space.overview("q").await.state.leader.is_some() }).await;
    let leader = space.overview("q").await.state.leader.unwrap();
    node.stop().await;
    assert!(space.overview("q").await.state.leader.is_none(), "it has resigned");
    let log = log.text();
    let leads = format!("this node leads partition=q.0 term={}", leader.term);
    assert!(log.contains(&leads), "{leads}: {log}");
    assert!(log.contains("this node leads no longer partition=q.0"), "{log}");
}
