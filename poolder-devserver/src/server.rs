//! A private server.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::builder::{Builder, logs};
use crate::error::Error;
use crate::launch::Launch;
use crate::locate::Found;
use crate::process;
use crate::resp::{self, Address, Failure};
use crate::supervisor::Supervisor;

/// A program answers within some 50 ms; this is for machines that are busy, and for long files.
const READY_WITHIN: Duration = Duration::from_secs(30);
/// How long a command waits for its reply.
const REPLY_WITHIN: Duration = Duration::from_secs(5);
/// Lines of each log that an error shows.
const LOG_LINES: usize = 15;

/// A Redis or Valkey of our own, on a unix socket in a directory of its own.
///
/// It stops, and its directory goes, when the value is dropped or this process ends in any way.
/// It is not in this process's group: Ctrl-C at a terminal does not reach it.
#[derive(Debug)]
pub struct Server {
    dir: PathBuf,
    address: Address,
    port: Option<u16>,
    found: Found,
    running: Mutex<Running>,
}

#[derive(Debug)]
struct Running {
    supervisor: Supervisor,
    pid: u32,
}

/// Why a start failed, and whether another port may help.
pub(crate) struct StartError {
    pub(crate) error: Error,
    pub(crate) port_taken: bool,
}

impl From<Error> for StartError {
    fn from(error: Error) -> Self {
        Self { error, port_taken: false }
    }
}

impl Server {
    /// Starts a server that keeps nothing on disk, and returns when it answers. Installs nothing.
    ///
    /// # Errors
    /// No server program was found (the text says what to run), or it did not start.
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// Starts a server with other settings.
    #[must_use]
    pub fn builder() -> Builder {
        Builder::default()
    }

    pub(crate) fn begin(
        dir: PathBuf,
        address: Address,
        port: Option<u16>,
        found: Found,
        mut supervisor: Supervisor,
    ) -> Result<Self, StartError> {
        let pid = supervisor.start().map_err(|error| broken(&error))?;
        let running = Mutex::new(Running { supervisor, pid });
        let server = Self { dir, address, port, found, running };
        match server.await_ready(pid) {
            Ok(()) => Ok(server),
            Err(error) => {
                // The server writes the first, Docker the second.
                let log = server.log_tail();
                let port_taken = ["Address already in use", "port is already allocated"]
                    .iter()
                    .any(|text| log.contains(text));
                Err(StartError { error, port_taken })
            }
        }
    }

    /// The URL for a client: `redis+unix:///…/s.sock` (`redis://127.0.0.1:…/` under Docker).
    #[must_use]
    pub fn url(&self) -> String {
        self.address.url()
    }

    /// The URL of the port on 127.0.0.1, if [`Builder::tcp`] asked for one.
    #[must_use]
    pub fn tcp_url(&self) -> Option<String> {
        self.port.map(|port| Address::Tcp(format!("127.0.0.1:{port}")).url())
    }

    /// That port, if there is one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// The process number of the server that was started last (under Docker, of its client).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().pid
    }

    /// The private directory: socket, log and append-only file.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Engine, version and program.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Kills the server with SIGKILL, as a crash would, and returns when it is gone. Its directory
    /// stays for [`restart`](Self::restart).
    ///
    /// # Errors
    /// The supervising shell was killed from outside.
    pub fn kill(&self) -> Result<(), Error> {
        self.running().supervisor.kill().map_err(|error| broken(&error))
    }

    /// Starts the server again in the same directory, under the same URL, and returns when it
    /// answers. A server that still runs is killed first.
    ///
    /// # Errors
    /// It did not start: the text shows its log.
    pub fn restart(&self) -> Result<(), Error> {
        let pid = {
            let mut running = self.running();
            running.pid = running.supervisor.start().map_err(|error| broken(&error))?;
            running.pid
        };
        self.await_ready(pid)
    }

    /// Stops the server in its tracks with SIGSTOP: connections stay, nothing answers.
    ///
    /// # Errors
    /// The server does not run.
    pub fn pause(&self) -> Result<(), Error> {
        let mut running = self.running();
        running.supervisor.pause().map_err(|error| broken(&error))?;
        // The signal is sent, but a thread may finish its slice first; no event tells when.
        if matches!(self.found.launch, Launch::Program(_)) {
            let end = Instant::now() + Duration::from_secs(1);
            while process::state(running.pid) != Some('T') && Instant::now() < end {
                thread::yield_now();
            }
        }
        Ok(())
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// The server does not run.
    pub fn resume(&self) -> Result<(), Error> {
        self.running().supervisor.resume().map_err(|error| broken(&error))
    }

    /// The last lines of what the server logged and printed.
    #[must_use]
    pub fn log_tail(&self) -> String {
        let tail = |path: PathBuf| {
            let bytes = std::fs::read(path).unwrap_or_default();
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lines: Vec<&str> = text.lines().collect();
            lines[lines.len().saturating_sub(LOG_LINES)..].join("\n")
        };
        let tails = logs(&self.dir).into_iter().map(tail).filter(|tail| !tail.is_empty());
        tails.collect::<Vec<_>>().join("\n")
    }

    /// Sends one command and renders its reply: strings and numbers as they are, `(nil)`, arrays
    /// one item a line. Waits at most 5 s.
    ///
    /// # Errors
    /// The server answered with an error ([`Error::is_reply`]), or not at all.
    pub fn command(&self, words: &[&str]) -> Result<String, Error> {
        self.command_within(REPLY_WITHIN, words)
    }

    /// Like [`command`](Self::command), with another limit: to see that a paused server is silent,
    /// or to wait for a blocking command.
    ///
    /// # Errors
    /// The server answered with an error ([`Error::is_reply`]), or not in time.
    pub fn command_within(&self, limit: Duration, words: &[&str]) -> Result<String, Error> {
        resp::command(&self.address, words, limit)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A test that panicked elsewhere leaves nothing half done here.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_ready(&self, pid: u32) -> Result<(), Error> {
        let end = Instant::now() + READY_WITHIN;
        loop {
            match resp::call(&self.address, &["PING"], REPLY_WITHIN) {
                Ok(_) => return Ok(()),
                // Still reading its append-only file.
                Err(Failure::Reply(text)) if text.starts_with("LOADING") => {}
                // Any other reply, such as NOAUTH, comes from a server that is up.
                Err(Failure::Reply(_)) => return Ok(()),
                Err(Failure::Io(_)) => {}
            }
            // Nobody but the supervisor reaps it, so a dead one stays visible as a zombie.
            if matches!(process::state(pid), None | Some('Z')) {
                return Err(self.not_started("ended at once"));
            }
            if Instant::now() >= end {
                return Err(self
                    .not_started(&format!("did not answer within {} s", READY_WITHIN.as_secs())));
            }
            // No event tells when a socket begins to listen.
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn not_started(&self, what: &str) -> Error {
        Error::failed(format!("{} {what}; its log ends with:\n{}", self.found, self.log_tail()))
    }
}

fn broken(error: &io::Error) -> Error {
    Error::failed(format!("the private server is not under control any more: {error}"))
}
