//! The server of a run: private, on the loopback interface, with an append-only file, and with a
//! clock that can be set where a C compiler is available.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use poolder_devserver::{Cluster, Fsync, Sentinel, Server};

use crate::final_state::Places;

/// The time limit for a reply: a healthy server answers sooner, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);
/// The time limit of a failover. Sentinels wait for ten seconds between two failovers.
const FAIL_OVER: Duration = Duration::from_secs(60);

/// The servers that hold the queue.
pub(crate) struct Stand {
    place: Place,
    clock: Option<Clock>,
}

enum Place {
    One(Box<Server>),
    /// A primary and a replica, watched by three Sentinels.
    Pair(Box<Sentinel>),
    /// Three primaries and their replicas.
    Cluster(Box<Cluster>),
}

/// The clock of the server: the machine's clock plus a shift.
struct Clock {
    file: PathBuf,
    shift: Mutex<i64>,
}

impl Stand {
    /// Starts a server. The library that shifts its clock is built in `folder`.
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

    /// Starts a primary and a replica that Sentinels watch. The primary refuses writes without a
    /// replica in sync.
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

    /// Starts a cluster. A primary refuses writes without a replica in sync.
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

    /// Returns the cluster.
    pub(crate) fn cluster(&self) -> Result<&Cluster, String> {
        match &self.place {
            Place::Cluster(cluster) => Ok(cluster),
            _ => Err("there is no cluster".into()),
        }
    }

    /// Returns the number of queues over which jobs are distributed: one, or in a cluster several,
    /// each in a Redis slot of its own.
    pub(crate) fn queues(&self) -> usize {
        if self.cluster().is_ok() { crate::reshard::QUEUES } else { 1 }
    }

    /// Returns the servers that hold the roster and these partitions now.
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

    /// Sends a command to every server of a cluster, otherwise to the server itself.
    pub(crate) fn everywhere(&self, words: &[&str]) -> Result<String, String> {
        let Ok(cluster) = self.cluster() else { return self.command(words) };
        for node in cluster.nodes() {
            node.command_within(PATIENCE, words).map_err(|error| error.to_string())?;
        }
        Ok(String::new())
    }

    /// Returns the server that accepts jobs now.
    pub(crate) fn server(&self) -> Result<&Server, String> {
        match &self.place {
            Place::One(server) => Ok(server),
            Place::Pair(pair) => pair.primary().map_err(|error| error.to_string()),
            Place::Cluster(cluster) => cluster.nodes().first().ok_or("no node".into()),
        }
    }

    /// Returns the address of the server.
    pub(crate) fn address(&self) -> Result<SocketAddr, String> {
        let url = self.url()?;
        let address = url.trim_start_matches("redis://").trim_end_matches('/').parse();
        address.map_err(|error| format!("{url}: {error}"))
    }

    /// Returns the URL of the server, for clients that do not use a proxy.
    pub(crate) fn url(&self) -> Result<String, String> {
        self.server()?.tcp_url().ok_or("the server has no port".into())
    }

    /// Returns the URL for processes where a proxy is impossible, because Sentinels or the cluster
    /// give clients the addresses of the servers; `None` for a single server.
    pub(crate) fn direct_url(&self) -> Option<String> {
        match &self.place {
            Place::One(_) => None,
            Place::Pair(pair) => Some(pair.url()),
            Place::Cluster(cluster) => Some(cluster.url()),
        }
    }

    /// Sends a command directly to the server, past all proxies.
    pub(crate) fn command(&self, words: &[&str]) -> Result<String, String> {
        self.server()?.command_within(PATIENCE, words).map_err(|error| error.to_string())
    }

    /// Returns a field of `INFO`.
    pub(crate) fn info(&self, field: &str) -> Option<String> {
        let info = self.command(&["INFO", "everything"]).ok()?;
        let line = info.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
        line.map(|value| value.trim().to_owned())
    }

    /// Shifts the clock of the server by `millis`. Returns false where the clock cannot be shifted.
    pub(crate) fn jump(&self, millis: i64) -> Result<bool, String> {
        let Some(clock) = &self.clock else { return Ok(false) };
        let mut shift = clock.shift.lock().map_err(|error| error.to_string())?;
        *shift += millis;
        clock.write(*shift).map_err(|error| error.to_string())?;
        Ok(true)
    }

    /// Makes the replica the primary: by command, or by killing or pausing the primary until the
    /// other takes over. Returns when the old primary replicates again; false when the Sentinels
    /// gave up the failover. Calls `replaced` as soon as a primary that hangs is replaced.
    pub(crate) fn fail_over(&self, way: FailOver, replaced: &dyn Fn()) -> Result<bool, String> {
        let text = |error: poolder_devserver::Error| error.to_string();
        let Place::Pair(pair) = &self.place else { return Err("there is no replica".into()) };
        let old = pair.primary().map_err(text)?;
        let taken_over = || pair.primary().is_ok_and(|primary| primary.port() != old.port());
        let happened = match way {
            FailOver::Ordered => pair.fail_over().is_ok(),
            FailOver::Killed => {
                old.kill().map_err(text)?;
                let happened = wait(taken_over);
                old.restart().map_err(text)?;
                happened
            }
            FailOver::Paused => {
                old.pause().map_err(text)?;
                let happened = wait(taken_over);
                old.resume().map_err(text)?;
                happened
            }
            FailOver::Hung => {
                let replica = pair.servers().iter().find(|server| server.port() != old.port());
                let replica = replica.ok_or("there is no replica")?;
                // The Sentinel that nodes ask first hangs as well.
                let sentinel = pair.sentinels().first().ok_or("there is no Sentinel")?;
                sentinel.pause().map_err(text)?;
                hang(old, replica).map_err(text)?;
                let happened = wait(|| {
                    let about = replica.command(&["INFO", "replication"]);
                    about.is_ok_and(|about| about.contains("role:master"))
                });
                resume(old, way, replaced).map_err(text)?;
                sentinel.resume().map_err(text)?;
                happened
            }
        };
        let in_step = wait(|| {
            // Either server may be the replica. Sentinels cut the connections of a server whose
            // role changes.
            pair.servers().iter().any(|server| {
                let about = server.command_within(PATIENCE, &["INFO", "replication"]);
                about.is_ok_and(|about| about.contains("master_link_status:up"))
            })
        });
        if in_step { Ok(happened) } else { Err("no server follows the other any more".into()) }
    }
}

/// The way in which a primary is replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailOver {
    /// By a command to the Sentinels.
    Ordered,
    /// The primary is killed, and restarted.
    Killed,
    /// The primary is paused, and resumes in the belief that it still is the primary.
    Paused,
    /// As `Paused`, but the primary and its replica are both paused for longer than a lease before
    /// the replica takes over, and the primary resumes only after the nodes have returned. The new
    /// primary takes writes without a replica.
    Hung,
}

/// How long a primary and its replica hang together, and the primary once more after it was
/// replaced: nodes that try to reach it return later than others.
const HANG: Duration = Duration::from_secs(8);

/// Pauses a primary and its replica for [`HANG`], and resumes the replica.
pub(crate) fn hang(primary: &Server, replica: &Server) -> Result<(), poolder_devserver::Error> {
    replica.command(&["CONFIG", "SET", "min-replicas-to-write", "0"])?;
    primary.pause()?;
    replica.pause()?;
    std::thread::sleep(HANG);
    replica.resume()
}

/// Resumes a primary that was replaced. One that hangs stays paused for [`HANG`] before, which
/// begins with a call of `replaced`.
pub(crate) fn resume(
    primary: &Server,
    way: FailOver,
    replaced: &dyn Fn(),
) -> Result<(), poolder_devserver::Error> {
    if way == FailOver::Hung {
        replaced();
        std::thread::sleep(HANG);
    }
    primary.resume()
}

/// Waits for a change among the servers. Returns false when it does not come within [`FAIL_OVER`].
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
        // The file is mapped into memory: it must be changed in place.
        let mut file = fs::OpenOptions::new().write(true).open(&self.file)?;
        file.write_all(&shift.to_ne_bytes())
    }
}

fn build_clock(folder: &Path) -> Result<(PathBuf, Clock), String> {
    // Absolute, because the server runs in another folder.
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
        // A relative folder, like the default one.
        let folder = PathBuf::from(format!("target/skew-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let stand = Stand::start(Fsync::Always, &folder).unwrap();
        let time = || {
            let reply = stand.command(&["TIME"]).unwrap();
            reply.lines().next().and_then(|seconds| seconds.parse::<i64>().ok()).unwrap()
        };
        let before = time();
        // The server may cache its clock for a while.
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
