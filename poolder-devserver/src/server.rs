//! A private Redis or Valkey server.

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

/// Time within which a server must answer. It usually takes about 50 ms; a busy machine or a long
/// append-only file takes longer.
const READY_TIMEOUT: Duration = Duration::from_secs(30);
/// Default time that a command waits for its reply.
const REPLY_TIMEOUT: Duration = Duration::from_secs(5);
/// Number of lines of each log that an error shows.
const LOG_LINES: usize = 15;

/// A private Redis or Valkey server on a unix socket in a private directory.
///
/// The server stops, and its directory is removed, when the value is dropped or this process ends
/// in any way. The server is not in this process's process group: Ctrl-C at a terminal does not
/// reach it.
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

/// The error of a failed start, and whether another port may help.
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
    /// Returns an error when no server program was found (the text says what to run), or when the
    /// server did not start.
    pub fn start() -> Result<Self, Error> {
        Self::builder().start()
    }

    /// Returns a builder for a server with other settings.
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
                // The server writes the first text, Docker the second.
                let log = server.log_tail();
                let port_taken = ["Address already in use", "port is already allocated"]
                    .iter()
                    .any(|text| log.contains(text));
                Err(StartError { error, port_taken })
            }
        }
    }

    /// Returns the URL for a client: `redis+unix:///…/s.sock` (`redis://127.0.0.1:…/` under
    /// Docker).
    #[must_use]
    pub fn url(&self) -> String {
        self.address.url()
    }

    /// Returns the URL of the port on 127.0.0.1, if [`Builder::tcp`] asked for a port.
    #[must_use]
    pub fn tcp_url(&self) -> Option<String> {
        self.port.map(|port| Address::Tcp(format!("127.0.0.1:{port}")).url())
    }

    /// Returns the port on 127.0.0.1, if the server has one.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Returns the process id of the server that was started last (under Docker, of the Docker
    /// client).
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running().pid
    }

    /// Returns the private directory, which holds the socket, the logs and the append-only file.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Returns the engine, version and program.
    #[must_use]
    pub fn found(&self) -> &Found {
        &self.found
    }

    /// Kills the server with SIGKILL, as a crash would, and returns when it has ended. Its
    /// directory stays for [`restart`](Self::restart).
    ///
    /// # Errors
    /// Returns an error when the supervising shell was killed from outside.
    pub fn kill(&self) -> Result<(), Error> {
        self.running().supervisor.kill().map_err(|error| broken(&error))
    }

    /// Starts the server again in the same directory, under the same URL, and returns when it
    /// answers. A running server is killed first.
    ///
    /// # Errors
    /// Returns an error when the server did not start: the text shows its log.
    pub fn restart(&self) -> Result<(), Error> {
        let pid = {
            let mut running = self.running();
            running.pid = running.supervisor.start().map_err(|error| broken(&error))?;
            running.pid
        };
        self.await_ready(pid)
    }

    /// Stops the server with SIGSTOP: its connections stay open, and it does not answer.
    ///
    /// # Errors
    /// Returns an error when the server does not run.
    pub fn pause(&self) -> Result<(), Error> {
        let mut running = self.running();
        running.supervisor.pause().map_err(|error| broken(&error))?;
        // A thread may finish its time slice after the signal was sent; no event reports the stop.
        if matches!(self.found.launch, Launch::Program(_)) {
            let end = Instant::now() + Duration::from_secs(1);
            while process::state(running.pid) != Some('T') && Instant::now() < end {
                thread::yield_now();
            }
        }
        Ok(())
    }

    /// Continues a paused server.
    ///
    /// # Errors
    /// Returns an error when the server does not run.
    pub fn resume(&self) -> Result<(), Error> {
        self.running().supervisor.resume().map_err(|error| broken(&error))
    }

    /// Returns the last lines of the server's log and of its output.
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

    /// Sends one command and renders its reply: strings and numbers as they are, nil as `(nil)`,
    /// arrays with one item per line. Waits at most 5 s.
    ///
    /// # Errors
    /// Returns an error when the server answers with an error ([`Error::is_reply`]), or does not
    /// answer.
    pub fn command(&self, words: &[&str]) -> Result<String, Error> {
        self.command_within(REPLY_TIMEOUT, words)
    }

    /// Sends a command like [`command`](Self::command) with another time limit: to check that a
    /// paused server does not answer, or to wait for a blocking command.
    ///
    /// # Errors
    /// Returns an error when the server answers with an error ([`Error::is_reply`]), or not in
    /// time.
    pub fn command_within(&self, limit: Duration, words: &[&str]) -> Result<String, Error> {
        resp::command(&self.address, words, limit)
    }

    fn running(&self) -> MutexGuard<'_, Running> {
        // A test that panicked elsewhere leaves the state behind this lock consistent.
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn await_ready(&self, pid: u32) -> Result<(), Error> {
        let end = Instant::now() + READY_TIMEOUT;
        loop {
            match resp::call(&self.address, &["PING"], REPLY_TIMEOUT) {
                Ok(_) => return Ok(()),
                // The server still reads its append-only file.
                Err(Failure::Reply(text)) if text.starts_with("LOADING") => {}
                // Any other reply, such as NOAUTH, comes from a server that is ready.
                Err(Failure::Reply(_)) => return Ok(()),
                Err(Failure::Io(_)) => {}
            }
            // Only the supervisor reaps the server, so an ended server stays visible as a zombie.
            if matches!(process::state(pid), None | Some('Z')) {
                return Err(self.not_started("ended at once"));
            }
            if Instant::now() >= end {
                return Err(self
                    .not_started(&format!("did not answer within {} s", READY_TIMEOUT.as_secs())));
            }
            // No event reports when a socket begins to listen.
            thread::sleep(Duration::from_millis(2));
        }
    }

    fn not_started(&self, what: &str) -> Error {
        Error::failed(format!("{} {what}; its log ends with:\n{}", self.found, self.log_tail()))
    }
}

fn broken(error: &io::Error) -> Error {
    Error::failed(format!("the private server's supervisor failed: {error}"))
}
