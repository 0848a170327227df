//! The client and worker processes. Each is started with a pipe as its standard input, and stops
//! when that pipe is closed, because the coordinator is done or has died. So no process outlives
//! the demo.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use poolder::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::ROLE;
use crate::events::WorkerEvents;
use crate::screen::Voice;
use crate::space::Space;

/// The time that a worker has to stop. After that it is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(10);

/// A worker process.
pub(crate) struct WorkerProcess {
    pub(crate) name: String,
    pub(crate) events: Arc<WorkerEvents>,
    child: Child,
    input: Option<ChildStdin>,
    readers: JoinSet<()>,
}

impl WorkerProcess {
    pub(crate) fn start(space: &Space, voice: &Voice, number: u32, doomed: bool) -> Result<Self> {
        let name = format!("worker {number}");
        let role = if doomed { "doomed worker" } else { "worker" };
        let mut child = command(space, role)?.stdout(Stdio::piped()).spawn()?;
        let events = Arc::new(WorkerEvents::default());
        let mut readers = JoinSet::new();
        let (counts, unknown, sender) = (Arc::clone(&events), voice.clone(), name.clone());
        readers.spawn(read(child.stdout.take(), move |line| {
            if !counts.note(&line) {
                unknown.say(format!("{sender} says: {line}"));
            }
        }));
        readers.spawn(pass_on(child.stderr.take(), voice.clone(), name.clone()));
        let input = child.stdin.take();
        Ok(Self { name, events, child, input, readers })
    }

    /// Returns the process id; 0 once the process has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Returns an error if the process has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("{} ended early: {status}", self.name).into()),
            None => Ok(()),
        }
    }

    /// Kills the process with SIGKILL, so that it cannot clean up. Returns when the process has
    /// ended and all events that it has reported are counted.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        while self.readers.join_next().await.is_some() {}
        Ok(())
    }

    /// Closes the standard input of the process, which makes it finish its jobs and stop.
    pub(crate) fn release(&mut self) {
        self.input = None;
    }

    /// Waits until the process has ended and all events that it has reported are counted.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.release();
        match tokio::time::timeout(STOP_TIMEOUT, self.child.wait()).await {
            Ok(status) => expect_success(&self.name, status?)?,
            Err(_) => self.child.kill().await?,
        }
        while self.readers.join_next().await.is_some() {}
        Ok(())
    }
}

/// Starts a client process and passes it the files. Returns when the client has enqueued them all.
pub(crate) async fn enqueue(space: Space, voice: Voice, files: Arc<Vec<PathBuf>>) -> Result<()> {
    let mut child = command(&space, "client")?.spawn()?;
    let errors = pass_on(child.stderr.take(), voice, "client".into());
    let input = child.stdin.take();
    let write = async {
        let mut input = input.ok_or("the client has no input")?;
        for chunk in files.chunks(1_000) {
            let mut text = vec![];
            for file in chunk {
                text.extend_from_slice(file.as_os_str().as_bytes());
                text.push(0);
            }
            input.write_all(&text).await?;
        }
        Result::Ok(())
    };
    let (written, ()) = tokio::join!(write, errors);
    // The exit status says more than the write error that it causes.
    expect_success("the client", child.wait().await?)?;
    written
}

/// Returns a command that runs this program in another role. The process gets its own process
/// group: at Ctrl-C only the coordinator receives the signal, and decides when the others end.
fn command(space: &Space, role: &str) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .env(ROLE, role)
        .envs(space.environment())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

fn expect_success(name: &str, status: ExitStatus) -> Result<()> {
    if status.success() { Ok(()) } else { Err(format!("{name} failed: {status}").into()) }
}

async fn pass_on(output: Option<impl AsyncRead + Unpin>, voice: Voice, name: String) {
    read(output, |line| voice.say(format!("{name} says: {line}"))).await;
}

async fn read(output: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(String)) {
    let Some(output) = output else { return };
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        take(line);
    }
}
