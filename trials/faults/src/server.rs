//! A server on a loopback port, with settings of its own.

use std::fs;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use crate::resp::send;

/// A private server that a trial may stop, fill, restart and reconfigure.
pub struct Server {
    pub port: u16,
    password: Option<String>,
    inner: Arc<poolder_devserver::Server>,
}

/// A port of 127.0.0.1 on which nothing listens.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// The server's program: `cargo xtask trials` installs one where there is none.
pub fn program() -> PathBuf {
    let found = poolder_devserver::locate().unwrap_or_else(|error| panic!("{error}"));
    found.program().expect("a program, not an image of one")
}

impl Server {
    pub fn start(args: &[(&str, &str)]) -> Self {
        Self::start_with(args, &[], None)
    }

    pub fn start_with(args: &[(&str, &str)], env: &[(&str, &str)], password: Option<&str>) -> Self {
        let mut builder = poolder_devserver::Server::builder().tcp();
        builder = builder.arg("enable-debug-command", "yes");
        if let Some(password) = password {
            builder = builder.arg("requirepass", password);
        }
        for (directive, value) in args {
            builder = builder.arg(*directive, *value);
        }
        for (name, value) in env {
            builder = builder.env(*name, *value);
        }
        let inner = Arc::new(builder.start().unwrap_or_else(|error| panic!("{error}")));
        Self { port: inner.port().unwrap(), password: password.map(Into::into), inner }
    }

    /// The URL of a server without a password.
    pub fn url(&self) -> String {
        assert!(self.password.is_none(), "a URL with a password is the trial's to write");
        format!("redis://127.0.0.1:{}/", self.port)
    }

    /// Its directory: `s.sock`, `dump.rdb` and `server.log`.
    pub fn dir(&self) -> &Path {
        self.inner.dir()
    }

    /// Pauses the process: connections stay open, and nothing answers.
    pub fn pause(&self) {
        self.inner.pause().unwrap();
    }

    /// Resumes a paused server.
    pub fn resume(&self) {
        self.inner.resume().unwrap();
    }

    pub fn kill(&self) {
        self.inner.kill().unwrap();
    }

    /// Starts it again, and returns when it answers.
    pub fn restart(&self) {
        self.inner.restart().unwrap();
    }

    /// Starts it again, and returns at once.
    pub fn launch(&self) {
        let inner = Arc::clone(&self.inner);
        // A server that still loads after half a minute is no failure here.
        thread::spawn(move || inner.restart());
    }

    pub fn conn(&self) -> Option<TcpStream> {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Some(stream)
    }

    pub fn try_cmd(&self, words: &[&str]) -> Option<String> {
        let mut stream = self.conn()?;
        if let Some(password) = &self.password {
            send(&mut stream, &["AUTH", password])?;
        }
        send(&mut stream, words)
    }

    /// The reply as redis-cli would roughly show it.
    pub fn cmd(&self, words: &[&str]) -> String {
        self.try_cmd(words).unwrap_or_else(|| panic!("no reply to {words:?}"))
    }

    pub fn info(&self, field: &str) -> String {
        let text = self.cmd(&["INFO", "everything"]);
        let value = text.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        value.unwrap_or_default().trim().to_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir().join("server.log")).unwrap_or_default()
    }
}
