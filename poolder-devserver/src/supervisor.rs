//! The shell between us and the server, which outlives us just long enough to clean up.
//!
//! Linux can send a signal to a child whose parent died, but ties that to the *thread* that made
//! the child: a server started by one test would die with that test's thread. A pipe has no such
//! notion, works everywhere, and needs no unsafe code.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("supervisor.sh");

#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    /// `None` only while dropping.
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    /// From here on `dir` is the supervisor's to remove.
    pub(crate) fn spawn(
        dir: &Path,
        container: Option<&str>,
        words: &[OsString],
    ) -> io::Result<Self> {
        let mut shell = Command::new("sh")
            .args(["-c", SCRIPT, "poolder-supervisor"])
            .arg(dir)
            .arg(container.unwrap_or_default())
            .args(words)
            // A Ctrl-C at the terminal reaches the nodes, which still need their server to stop.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Who reads our own output must not have to wait for the supervisor's end as well.
            .stderr(Stdio::null())
            .spawn()?;
        let orders = shell.stdin.take();
        let answers = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { shell, orders, answers: BufReader::new(answers) })
    }

    /// Starts the server, after the end of the one before, and returns its process number.
    pub(crate) fn start(&mut self) -> io::Result<u32> {
        let answer = self.order("start")?;
        answer.parse().map_err(|_| unexpected("start", &answer))
    }

    /// Kills the server and returns when it is gone.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.plain("kill")
    }

    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.plain("pause")
    }

    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.plain("resume")
    }

    fn plain(&mut self, order: &str) -> io::Result<()> {
        match self.order(order)?.as_str() {
            "done" => Ok(()),
            answer => Err(unexpected(order, answer)),
        }
    }

    fn order(&mut self, order: &str) -> io::Result<String> {
        let orders = self.orders.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(orders, "{order}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::other("the server's supervisor was killed"));
        }
        answer.truncate(answer.trim_end().len());
        Ok(answer)
    }
}

fn unexpected(order: &str, answer: &str) -> io::Error {
    io::Error::other(format!("the server could not be told to {order}: {answer}"))
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The end of its input is the order to clean up; its end says that this is done.
        drop(self.orders.take());
        let _ = self.shell.wait();
    }
}
