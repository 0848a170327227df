//! Nodes in child processes, which tests can kill. The child is the test binary itself, started
//! again.

use std::net::SocketAddr;
use std::process::Stdio;
use std::time::Duration;

use poolder::prelude::*;
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

use crate::harness::{Number, Space, eventually, within};

const SLOTS: &str = "POOLDER_SUITE_CHILD_SLOTS";
const MODE: &str = "POOLDER_SUITE_CHILD_MODE";
/// The shutdown timeout of a child in ms.
const SHUTDOWN: &str = "POOLDER_SUITE_CHILD_SHUTDOWN";
/// The address on which a child listens, if it does.
const LISTEN: &str = "POOLDER_SUITE_CHILD_LISTEN";

/// The job that ends the process that runs it.
pub(crate) const KILLER: u64 = 13;
/// Jobs from this number on run until they are cancelled.
pub(crate) const HELD: u64 = 1_000;
/// Jobs from this number on take three seconds.
pub(crate) const SLOW: u64 = 2_000;
/// Jobs from this number on block the thread of the node for a minute.
pub(crate) const BLOCKING: u64 = 3_000;

/// Returns a command that runs the body of one test in this binary, in the same namespace.
pub(crate) fn itself(test: &str, space: &Space) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args([test, "--exact", "--nocapture"])
        .env("POOLDER_REDIS_URL", space.url())
        .env("POOLDER_NAMESPACE", space.name())
        .stdout(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Sends a signal, named without `SIG`, to a running child.
pub(crate) async fn signal(child: &Child, name: &str) {
    let pid = child.id().expect("it runs").to_string();
    let status = Command::new("kill").args([&format!("-{name}"), &pid]).status().await;
    assert!(status.unwrap().success(), "kill -{name} {pid}");
}

/// A node in a child process.
pub(crate) struct Process {
    child: Child,
    pid: u32,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A job that a child has started, as the child reports it.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) struct Start {
    pub(crate) number: u64,
    pub(crate) attempt: u32,
    pub(crate) fence: u64,
}

impl Process {
    /// Starts a node that serves the queue `q` of the space with a shared pool.
    pub(crate) fn start(space: &Space, slots: usize) -> Self {
        Self::in_mode(space, slots, Mode::Shared)
    }

    /// Starts a node that serves the queue `q` with a pool of this mode.
    pub(crate) fn in_mode(space: &Space, slots: usize, mode: Mode) -> Self {
        Self::stopping_within(space, slots, mode, Duration::from_millis(300))
    }

    /// Starts a node with this shutdown timeout.
    pub(crate) fn stopping_within(
        space: &Space,
        slots: usize,
        mode: Mode,
        shutdown: Duration,
    ) -> Self {
        let mut command = itself("child::node", space);
        command
            .env(SLOTS, slots.to_string())
            .env(MODE, mode.as_str())
            .env(SHUTDOWN, shutdown.as_millis().to_string());
        Self::spawn(&mut command)
    }

    /// Starts a node of a shared pool with this shutdown timeout, which listens on an address that
    /// [`Process::address`] returns.
    pub(crate) fn listening(space: &Space, slots: usize, shutdown: Duration) -> Self {
        let mut command = itself("child::node", space);
        command
            .env(SLOTS, slots.to_string())
            .env(MODE, Mode::Shared.as_str())
            .env(SHUTDOWN, shutdown.as_millis().to_string())
            .env(LISTEN, "127.0.0.1:0");
        Self::spawn(&mut command)
    }

    fn spawn(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let pid = child.id().unwrap();
        Self { child, pid, lines }
    }

    /// Waits until the node listens, and returns the address.
    pub(crate) async fn address(&mut self) -> SocketAddr {
        loop {
            let line = within(self.lines.next_line()).await.unwrap().expect("it ended early");
            if let Some(address) = line.strip_prefix("listens on ") {
                return address.parse().unwrap();
            }
        }
    }

    /// Returns the next job that the node starts; `None` when the process has ended.
    pub(crate) async fn next(&mut self) -> Option<Start> {
        while let Some(line) = within(self.lines.next_line()).await.unwrap() {
            if let Some(words) = line.strip_prefix("start ") {
                let words: Vec<u64> = words.split(' ').map(|word| word.parse().unwrap()).collect();
                let attempt = u32::try_from(words[1]).unwrap();
                return Some(Start { number: words[0], attempt, fence: words[2] });
            }
        }
        None
    }

    /// Returns the next `count` jobs that the node starts.
    pub(crate) async fn started(&mut self, count: usize) -> Vec<Start> {
        let mut starts = vec![];
        while starts.len() < count {
            starts.push(self.next().await.expect("the child ended early"));
        }
        starts
    }

    /// Returns the process id.
    pub(crate) fn pid(&self) -> u32 {
        self.pid
    }

    /// Moves the last beat of this process, which has died, ten seconds into the past, so that the
    /// other nodes find the process silent at their next beats.
    pub(crate) async fn age(&self, space: &Space) {
        let roster = format!("{}:{{roster}}:nodes", space.name());
        let nodes: Vec<String> =
            space.redis(redis::cmd("ZRANGE").arg(&roster).arg(0).arg(-1)).await;
        let its_name = format!(":{}:", self.pid);
        for node in nodes.iter().filter(|node| node.contains(&its_name)) {
            space.redis::<f64>(redis::cmd("ZINCRBY").arg(&roster).arg(-10_000).arg(node)).await;
        }
    }

    /// Sends a signal, named without `SIG`.
    pub(crate) async fn signal(&self, name: &str) {
        signal(&self.child, name).await;
    }

    /// Sends a signal again and again until the process has ended. Returns its exit code.
    pub(crate) async fn signal_until_it_ends(&mut self, name: &str) -> Option<i32> {
        let repeating = async {
            loop {
                if self.child.id().is_some() {
                    signal(&self.child, name).await;
                }
                let moment = Duration::from_millis(100);
                if let Ok(status) = tokio::time::timeout(moment, self.child.wait()).await {
                    return status.unwrap().code();
                }
            }
        };
        within(repeating).await
    }

    /// Waits until the process has ended. Returns true if it succeeded.
    pub(crate) async fn ended(&mut self) -> bool {
        within(self.child.wait()).await.unwrap().success()
    }
}

/// The body of a child process. Returns at once when it runs as a test.
#[tokio::test]
async fn node() {
    let Some(slots) = std::env::var(SLOTS).ok().and_then(|slots| slots.parse().ok()) else {
        return;
    };
    let _ = tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .with_writer(std::io::stderr)
        .try_init();
    let mode: Mode = std::env::var(MODE).unwrap().parse().unwrap();
    let worker = worker_fn(|job: Number, cx: Context| async move {
        println!("start {} {} {}", job.0, cx.attempt(), cx.fence());
        match job.0 {
            KILLER => std::process::abort(),
            BLOCKING.. => std::thread::sleep(Duration::from_secs(60)),
            SLOW.. => tokio::time::sleep(Duration::from_secs(3)).await,
            HELD.. => {
                cx.cancelled().await;
                return Err::<Outcome, BoxError>("I was told to stop".into());
            }
            // Long enough that the jobs beside a killer still run when it kills the process.
            _ => tokio::time::sleep(Duration::from_millis(100)).await,
        }
        Ok(Done)
    });
    let shutdown = std::env::var(SHUTDOWN).unwrap().parse().unwrap();
    let mut node = Node::builder(Client::from_env().await.unwrap())
        .pool(Pool::new("q").size(slots).mode(mode).worker(worker))
        .shutdown_timeout(Duration::from_millis(shutdown));
    if let Ok(address) = std::env::var(LISTEN) {
        node = node.listen(address);
        let handle = node.handle();
        tokio::spawn(async move {
            eventually("it listens", || async { handle.status().listens.is_some() }).await;
            println!("listens on {}", handle.status().listens.unwrap());
        });
    }
    node.run().await.unwrap();
}
