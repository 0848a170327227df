//! Settings with which a server is started.

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

/// Number of attempts to start: another process may take a free port before the server does.
const PORT_TRIES: usize = 5;

/// The moment when the append-only file is synced to disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fsync {
    /// Before every reply: acknowledged writes survive a crash of the server and of the machine.
    Always,
    /// Once a second: a killed server loses nothing, a crashed machine loses up to a second.
    EverySec,
}

/// Builds a [`Server`] with settings other than the defaults.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    aof: Option<Fsync>,
    arguments: Vec<(String, String)>,
    environment: Vec<(String, OsString)>,
    /// The program that runs the server program, and its own arguments; empty for none.
    runner: Vec<OsString>,
    tcp: bool,
    /// The first lines of the Sentinel's configuration file, in which the Sentinel also keeps its
    /// state.
    sentinel: Option<String>,
    install: Install,
}

impl Builder {
    /// Keeps data in an append-only file, which survives [`Server::kill`] and [`Server::restart`].
    /// Without it the server keeps nothing on disk.
    #[must_use]
    pub fn aof(mut self, fsync: Fsync) -> Self {
        self.aof = Some(fsync);
        self
    }

    /// Sets a configuration directive of the server: `.arg("maxmemory", "1mb")`.
    #[must_use]
    pub fn arg(mut self, directive: impl Into<String>, value: impl Into<String>) -> Self {
        self.arguments.push((directive.into(), value.into()));
        self
    }

    /// Sets an environment variable of the server program, for example `LD_PRELOAD` with a library
    /// that shifts the clock. A container does not get the variable.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Runs the server program through another program, for example `["valgrind"]`, which gets the
    /// server's command line after these words. The other program must pass signals on, or become
    /// the server. A container cannot be run this way.
    #[must_use]
    pub fn under(mut self, words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.runner = words.into_iter().map(Into::into).collect();
        self
    }

    /// Makes the server also listen on a free port of 127.0.0.1: see [`Server::tcp_url`].
    #[must_use]
    pub fn tcp(mut self) -> Self {
        self.tcp = true;
        self
    }

    /// Starts a Sentinel with this configuration instead of a data server.
    pub(crate) fn sentinel(mut self, config: String) -> Self {
        self.sentinel = Some(config);
        self
    }

    /// Sets what may be installed when no server is found. Default: nothing.
    #[must_use]
    pub fn install(mut self, install: Install) -> Self {
        self.install = install;
        self
    }

    /// Starts the server and returns when it answers.
    ///
    /// # Errors
    /// Returns an error when no server program was found or installed, or when the server did not
    /// start; the text shows its log.
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
            // The supervisor owns the directory from here on and removes it.
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
                let mut words =
                    program.command(dir, &self.environment, &self.runner).map_err(failed)?;
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
            Launch::Docker(_) if !self.runner.is_empty() => {
                Err(Error::failed(format!("{found} cannot be run through another program")))
            }
            // A container cannot share a socket file on every system, but it can share a port.
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

    /// Returns the settings that a program and a container share. The caller's arguments come last
    /// and override the others.
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

/// File name of the server's log in its directory.
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

/// Returns the paths of the two logs: the server's own log and its output.
pub(crate) fn logs(dir: &Path) -> [PathBuf; 2] {
    [dir.join(LOG), dir.join("output.log")]
}

#[cfg(test)]
mod tests {
    use super::{Builder, Fsync};
    use std::path::Path;

    #[test]
    fn the_callers_arguments_come_after_the_defaults() {
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
