//! The shell between this process and the server. It outlives this process just long enough to
//! clean up.
//!
//! Linux can send a signal to a child whose parent died, but binds that to the *thread* that made
//! the child: a server started by one test would die with that test's thread. A pipe is not bound
//! to a thread, works on every system, and needs no unsafe code.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

const SCRIPT: &str = include_str!("supervisor.sh");

#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    /// Commands to the shell, one per line; `None` only while dropping.
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Supervisor {
    /// Starts the shell, which owns `dir` from here on and removes it.
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
            // Ctrl-C at the terminal reaches the nodes, which still need their server in command to
            // stop.
            .process_group(0)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // A reader of this process's output must not have to wait until the supervisor has
            // ended, too.
            .stderr(Stdio::null())
            .spawn()?;
        let commands = shell.stdin.take();
        let answers = shell.stdout.take().ok_or(io::ErrorKind::BrokenPipe)?;
        Ok(Self { shell, commands, answers: BufReader::new(answers) })
    }

    /// Starts the server after the previous one has ended, and returns its process id.
    pub(crate) fn start(&mut self) -> io::Result<u32> {
        let answer = self.command("start")?;
        answer.parse().map_err(|_| unexpected("start", &answer))
    }

    /// Kills the server and returns when it has ended.
    pub(crate) fn kill(&mut self) -> io::Result<()> {
        self.expect_done("kill")
    }

    pub(crate) fn pause(&mut self) -> io::Result<()> {
        self.expect_done("pause")
    }

    pub(crate) fn resume(&mut self) -> io::Result<()> {
        self.expect_done("resume")
    }

    fn expect_done(&mut self, command: &str) -> io::Result<()> {
        match self.command(command)?.as_str() {
            "done" => Ok(()),
            answer => Err(unexpected(command, answer)),
        }
    }

    fn command(&mut self, command: &str) -> io::Result<String> {
        let commands = self.commands.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        writeln!(commands, "{command}")?;
        let mut answer = String::new();
        if self.answers.read_line(&mut answer)? == 0 {
            return Err(io::Error::other("the server's supervisor was killed"));
        }
        answer.truncate(answer.trim_end().len());
        Ok(answer)
    }
}

fn unexpected(command: &str, answer: &str) -> io::Error {
    io::Error::other(format!("the supervisor could not {command} the server: {answer}"))
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        // The end of its input makes the shell clean up; the shell ends when that is done.
        drop(self.commands.take());
        let _ = self.shell.wait();
    }
}
