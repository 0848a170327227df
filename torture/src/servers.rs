//! The server of a run: private, on the loopback interface, with an append-only file, and with a
//! clock that can be set where a C compiler is at hand.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use poolder_devserver::{Cluster, Fsync, Sentinel, Server};

use crate::final_state::Places;

/// A healthy server answers sooner, also on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// Sentinels wait for ten seconds between two failovers.
const FAIL_OVER: Duration = Duration::from_secs(60);

/// What holds the queue.
pub(crate) struct Stand {
    place: Place,
    clock: Option<Clock>,
}

enum Place {
    One(Box<Server>),
    /// A primary and a replica, and three who watch them.
    Pair(Box<Sentinel>),
    /// Three primaries and their replicas.
    Cluster(Box<Cluster>),
}

/// The clock that the server sees: ours, shifted.
struct Clock {
    file: PathBuf,
    shift: Mutex<i64>,
}

impl Stand {
    /// Starts a server; `folder` is where the library that shifts its clock is built.
    pub(crate) fn start(fsync: Fsync, folder: &Path) -> Result<Self, String> {
        let mut builder = Server::builder().tcp().aof(fsync).arg("maxmemory-policy", "noeviction");
        let clock = match build_clock(folder) {
            Ok((library, clock)) => {
                builder = builder.env("LD_PRELOAD", library).env("POOLDER_SKEW", &clock.file);
                Some(clock)
            }
            Err(reason) => {
                eprintln!("torture: the server's clock will not jump: {reason}");
                None
            }
        };
        let server = builder.start().map_err(|error| error.to_string())?;
        Ok(Self { place: Place::One(Box::new(server)), clock })
    }

    /// Starts a primary and a replica that Sentinels watch; without a replica in step the primary
    /// takes nothing.
    pub(crate) fn start_pair(fsync: Fsync) -> Result<Self, String> {
        let pair = Sentinel::start_with(3, |server| {
            server
                .aof(fsync)
                .arg("maxmemory-policy", "noeviction")
                .arg("min-replicas-to-write", "1")
                .arg("min-replicas-max-lag", "2")
        });
        let pair = Box::new(pair.map_err(|error| error.to_string())?);
        Ok(Self { place: Place::Pair(pair), clock: None })
    }

    /// Starts a cluster; without a replica in step a primary takes nothing.
    pub(crate) fn start_cluster(fsync: Fsync) -> Result<Self, String> {
        let cluster = Cluster::start_with(3, 1, |node| {
            node.aof(fsync)
                .arg("maxmemory-policy", "noeviction")
                .arg("min-replicas-to-write", "1")
                .arg("min-replicas-max-lag", "2")
        });
        let cluster = Box::new(cluster.map_err(|error| error.to_string())?);
        Ok(Self { place: Place::Cluster(cluster), clock: None })
    }

    /// The cluster.
    pub(crate) fn cluster(&self) -> Result<&Cluster, String> {
        match &self.place {
            Place::Cluster(cluster) => Ok(cluster),
            _ => Err("there is no cluster".into()),
        }
    }

    /// Among how many queues the jobs are dealt out: in a cluster they live in slots of their own.
    pub(crate) fn queues(&self) -> usize {
        if self.cluster().is_ok() { crate::reshard::QUEUES } else { 1 }
    }

    /// Where the roster and these partitions are at the moment.
    pub(crate) fn places(&self, namespace: &str, partitions: &[String]) -> Result<Places, String> {
        let at = |tag: &str| {
            let Ok(cluster) = self.cluster() else { return self.url() };
            let slot = cluster.slot_of(&format!("{namespace}:{{{tag}}}:"));
            let owner = slot.and_then(|slot| cluster.owner(slot));
            let url = owner.map_err(|error| error.to_string())?.tcp_url();
            url.ok_or_else(|| "the server has no port".to_owned())
        };
        let found = |partition: &String| Ok((partition.clone(), at(partition)?));
        let partitions: Result<Vec<_>, String> = partitions.iter().map(found).collect();
        Ok(Places { roster: at("roster")?, partitions: partitions? })
    }

    /// Sends a command to all servers that may be asked.
    pub(crate) fn everywhere(&self, words: &[&str]) -> Result<String, String> {
        let Ok(cluster) = self.cluster() else { return self.command(words) };
        for node in cluster.nodes() {
            node.command_within(PATIENCE, words).map_err(|error| error.to_string())?;
        }
        Ok(String::new())
    }

    /// The server that takes jobs at the moment.
    pub(crate) fn server(&self) -> Result<&Server, String> {
        match &self.place {
            Place::One(server) => Ok(server),
            Place::Pair(pair) => pair.primary().map_err(|error| error.to_string()),
            Place::Cluster(cluster) => cluster.nodes().first().ok_or("no node".into()),
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        let url = self.url()?;
        let address = url.trim_start_matches("redis://").trim_end_matches('/').parse();
        address.map_err(|error| format!("{url}: {error}"))
    }

    /// Its URL, for those who come without a proxy.
    pub(crate) fn url(&self) -> Result<String, String> {
        self.server()?.tcp_url().ok_or("the server has no port".into())
    }

    /// The URL for processes, where no proxy can stand in between: clients are told by Sentinels
    /// where to go.
    pub(crate) fn direct_url(&self) -> Option<String> {
        match &self.place {
            Place::One(_) => None,
            Place::Pair(pair) => Some(pair.url()),
            Place::Cluster(cluster) => Some(cluster.url()),
        }
    }

    /// Sends a command past all proxies.
    pub(crate) fn command(&self, words: &[&str]) -> Result<String, String> {
        self.server()?.command_within(PATIENCE, words).map_err(|error| error.to_string())
    }

    /// A field of `INFO`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let info = self.command(&["INFO", "everything"]).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    }

    /// Sets its clock forward or back; false where that cannot be done.
    pub(crate) fn jump(&self, millis: i64) -> Result<bool, String> {
        let Some(clock) = &self.clock else { return Ok(false) };
        let mut shift = clock.shift.lock().map_err(|error| error.to_string())?;
        *shift += millis;
        clock.write(*shift).map_err(|error| error.to_string())?;
        Ok(true)
    }

    /// Makes the replica the primary: by order, or by taking the primary away, which returns when
    /// the other has taken over. Ends when the old one follows; false when Sentinels gave it up.
    pub(crate) fn fail_over(&self, way: FailOver) -> Result<bool, String> {
        let text = |error: poolder_devserver::Error| error.to_string();
        let Place::Pair(pair) = &self.place else { return Err("there is no replica".into()) };
        let old = pair.primary().map_err(text)?;
        let replaced = || pair.primary().is_ok_and(|primary| primary.port() != old.port());
        let happened = match way {
            FailOver::Ordered => pair.fail_over().is_ok(),
            FailOver::Killed => {
                old.kill().map_err(text)?;
                let happened = wait(replaced);
                old.restart().map_err(text)?;
                happened
            }
            FailOver::Paused => {
                old.pause().map_err(text)?;
                let happened = wait(replaced);
                old.resume().map_err(text)?;
                happened
            }
        };
        let in_step = wait(|| {
            // Whichever of them follows; Sentinels cut the connections of one whose role changes.
            pair.servers().iter().any(|server| {
                let about = server.command_within(PATIENCE, &["INFO", "replication"]);
                about.is_ok_and(|about| about.contains("master_link_status:up"))
            })
        });
        if in_step { Ok(happened) } else { Err("no server follows the other any more".into()) }
    }
}

/// How a primary is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailOver {
    /// Sentinels are told to.
    Ordered,
    /// It is killed, and returns.
    Killed,
    /// It is stopped in its tracks, and returns believing that it still leads.
    Paused,
}

/// Waits for what the servers do among themselves; false when it does not come.
fn wait(done: impl Fn() -> bool) -> bool {
    let begun = Instant::now();
    while !done() {
        if begun.elapsed() > FAIL_OVER {
            return false;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

impl Clock {
    fn write(&self, shift: i64) -> std::io::Result<()> {
        use std::io::Write;
        // The file is mapped: it must be changed in place.
        let mut file = fs::OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(&shift.to_ne_bytes())
    }
}

fn build_clock(folder: &Path) -> Result<(PathBuf, Clock), String> {
    // The server finds both from a folder of its own.
    let folder = folder.canonicalize().map_err(|error| error.to_string())?;
    let (source, library) = (folder.join("skew.c"), folder.join("skew.so"));
    fs::write(&source, include_str!("../shim/skew.c")).map_err(|error| error.to_string())?;
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-shared", "-fPIC", "-o"]).arg(&library).arg(&source);
    let built = compiler.output().map_err(|error| format!("cc: {error}"))?;
    if !built.status.success() {
        return Err(format!("cc: {}", String::from_utf8_lossy(&built.stderr)));
    }
    let file = folder.join("skew");
    fs::write(&file, 0_i64.to_ne_bytes()).map_err(|error| error.to_string())?;
    Ok((library, Clock { file, shift: Mutex::new(0) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_clock_jumps_and_ours_does_not() {
        // Relative, as the usual one is.
        let folder = PathBuf::from(format!("target/skew-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let stand = Stand::start(Fsync::Always, &folder).unwrap();
        let time = || {
            let reply = stand.command(&["TIME"]).unwrap();
            reply.lines().next().and_then(|seconds| seconds.parse::<i64>().ok()).unwrap()
        };
        let before = time();
        // A server may look at the clock only now and then.
        let ahead = |seconds: i64| {
            let end = std::time::Instant::now() + std::time::Duration::from_secs(20);
            while !(seconds - 5..seconds + 60).contains(&(time() - before)) {
                assert!(std::time::Instant::now() < end, "not {seconds} s ahead");
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        };
        if stand.jump(3_600_000).unwrap() {
            ahead(3_600);
            assert!(stand.jump(-7_200_000).unwrap());
            ahead(-3_600);
            stand.server().unwrap().kill().unwrap();
            stand.server().unwrap().restart().unwrap();
            ahead(-3_600);
        }
        drop(stand);
        fs::remove_dir_all(&folder).unwrap();
    }
}
