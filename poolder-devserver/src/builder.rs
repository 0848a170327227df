//! How a server is to be started.

use std::ffi::OsString;
use std::net::TcpListener;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::install::Install;
use crate::launch::{Launch, docker_command};
use crate::locate::{Found, ensure};
use crate::resp::Address;
use crate::server::{Server, StartError};
use crate::supervisor::Supervisor;
use crate::tempdir;

/// A port that was free a moment ago can be taken by another process; then the next one is tried.
const PORT_TRIES: usize = 5;

/// When the append-only file is synced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before every reply: what was acknowledged survives everything.
    Always,
    /// Once a second: a killed server loses nothing, a crashed machine up to a second.
    EverySec,
}

/// Starts a [`Server`] with other than the default settings.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    aof: Option<Fsync>,
    arguments: Vec<(String, String)>,
    environment: Vec<(String, OsString)>,
    tcp: bool,
    /// The first lines of the file that a Sentinel keeps its knowledge in.
    sentinel: Option<String>,
    install: Install,
}

impl Builder {
    /// Keeps data in an append-only file, so that it is there again after
    /// [`Server::kill`] and [`Server::restart`]. By default nothing is kept.
    #[must_use]
    pub fn aof(mut self, fsync: Fsync) -> Self {
        self.aof = Some(fsync);
        self
    }

    /// Sets one of the server's configuration directives: `.arg("maxmemory", "1mb")`.
    #[must_use]
    pub fn arg(mut self, directive: impl Into<String>, value: impl Into<String>) -> Self {
        self.arguments.push((directive.into(), value.into()));
        self
    }

    /// Sets an environment variable of the server program: `LD_PRELOAD` for a library that
    /// shifts its clock, for one. A container does not get it.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Listens on a free port of 127.0.0.1 as well: see [`Server::tcp_url`].
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Starts a Sentinel instead of a server of data.
    pub(crate) fn sentinel(mut self, config: String) -> Self {
        self.sentinel = Some(config);
        self
    }

    /// Allows to install a server when none is found. By default that is not allowed.
    #[must_use]
    pub fn install(mut self, install: Install) -> Self {
        self.install = install;
        self
    }

    /// Starts the server and returns when it answers.
    ///
    /// # Errors
    /// No server program was found or installed, or it did not start: the text shows its log.
    pub fn start(self) -> Result<Server, Error> {
        let found = ensure(self.install)?;
        let mut tries = PORT_TRIES;
        loop {
            tries -= 1;
            match self.attempt(found.clone()) {
                Ok(server) => return Ok(server),
                Err(failed) if failed.port_taken && tries > 0 => {}
                Err(failed) => return Err(failed.error),
            }
        }
    }

    fn attempt(&self, found: Found) -> Result<Server, StartError> {
        let dir = tempdir::create()?;
        match self.supervise(&dir, &found) {
            // The supervisor has the directory now and removes it.
            Ok((supervisor, port, address)) => Server::begin(dir, address, port, found, supervisor),
            Err(error) => {
                let _ = std::fs::remove_dir_all(&dir);
                Err(error.into())
            }
        }
    }

    fn supervise(
        &self,
        dir: &Path,
        found: &Found,
    ) -> Result<(Supervisor, Option<u16>, Address), Error> {
        let failed =
            |error: std::io::Error| Error::failed(format!("can not start {found}: {error}"));
        match &found.launch {
            Launch::Program(program) => {
                let port = if self.tcp { Some(free_port()?) } else { None };
                let socket = dir.join(tempdir::SOCKET);
                let mut words = program.command(dir, &self.environment).map_err(failed)?;
                if let Some(config) = &self.sentinel {
                    let file = dir.join("sentinel.conf");
                    std::fs::write(&file, config).map_err(failed)?;
                    words.extend([file.into(), "--sentinel".into()]);
                }
                words.extend(pairs([
                    ("--port", port.unwrap_or(0).to_string().into()),
                    ("--bind", "127.0.0.1".into()),
                    ("--unixsocket", socket.clone().into()),
                    ("--unixsocketperm", "700".into()),
                ]));
                words.extend(self.settings(dir));
                let supervisor = Supervisor::spawn(dir, None, &words).map_err(failed)?;
                Ok((supervisor, port, Address::Unix(socket)))
            }
            // A socket file can not be shared with a container everywhere, a port can.
            Launch::Docker(image) => {
                let port = free_port()?;
                let owner = dir.metadata().map_err(failed)?;
                let name = container_name(dir);
                let owner = (owner.uid(), owner.gid());
                let mut words = docker_command(image, &name, dir, owner, port);
                words.extend(pairs([
                    ("--port", "6379".into()),
                    ("--bind", "0.0.0.0".into()),
                    ("--protected-mode", "no".into()),
                ]));
                words.extend(self.settings(dir));
                let supervisor = Supervisor::spawn(dir, Some(&name), &words).map_err(failed)?;
                Ok((supervisor, Some(port), Address::Tcp(format!("127.0.0.1:{port}"))))
            }
        }
    }

    /// What does not depend on how the server is run. The caller's arguments come last and win.
    fn settings(&self, dir: &Path) -> Vec<OsString> {
        if self.sentinel.is_some() {
            return pairs([("--dir", dir.into()), ("--logfile", dir.join(LOG).into())]);
        }
        let appendonly = if self.aof.is_some() { "yes" } else { "no" };
        let fsync = match self.aof {
            Some(Fsync::Always) => "always",
            Some(Fsync::EverySec) | None => "everysec",
        };
        let mut words = pairs([
            ("--dir", dir.into()),
            ("--logfile", dir.join(LOG).into()),
            ("--loglevel", "notice".into()),
            ("--save", "".into()),
            ("--appendonly", appendonly.into()),
            ("--appendfsync", fsync.into()),
        ]);
        for (directive, value) in &self.arguments {
            words.extend([format!("--{directive}").into(), value.into()]);
        }
        words
    }
}

/// The server's own log in its directory.
pub(crate) const LOG: &str = "server.log";

fn pairs<const N: usize>(pairs: [(&str, OsString); N]) -> Vec<OsString> {
    pairs.into_iter().flat_map(|(name, value)| [OsString::from(name), value]).collect()
}

fn container_name(dir: &Path) -> String {
    dir.file_name().map_or_else(|| "poolder".into(), |name| name.to_string_lossy().into_owned())
}

fn free_port() -> Result<u16, Error> {
    let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|listener| listener.local_addr());
    port.map(|address| address.port())
        .map_err(|error| Error::failed(format!("can not find a free port: {error}")))
}

/// The directory is private, so its path does not have to be kept from logs.
pub(crate) fn logs(dir: &Path) -> [PathBuf; 2] {
    [dir.join(LOG), dir.join("output.log")]
}

#[cfg(test)]
mod tests {
    use super::{Builder, Fsync};
    use std::path::Path;

    #[test]
    fn own_arguments_come_after_the_defaults() {
        let builder = Builder::default().aof(Fsync::Always).arg("appendfsync", "no");
        let words = builder.settings(Path::new("/d"));
        let line: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(
            line.join(" "),
            "--dir /d --logfile /d/server.log --loglevel notice --save  --appendonly yes \
             --appendfsync always --appendfsync no"
        );
    }
}
