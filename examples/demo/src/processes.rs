//! The other processes. Each is started with its standard input open; when that ends, because we
//! are done or dead, it stops. So nothing outlives the demo, however it ends.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::time::Duration;

use poolder::prelude::Result;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::ROLE;
use crate::events::Diary;
use crate::screen::Voice;
use crate::space::Space;

/// A worker that was told to stop and has not after this time is killed.
const PATIENCE: Duration = Duration::from_secs(10);

/// A worker process.
pub(crate) struct WorkerProcess {
    pub(crate) name: String,
    pub(crate) diary: Arc<Diary>,
    child: Child,
    input: Option<ChildStdin>,
    readers: JoinSet<()>,
}

impl WorkerProcess {
    pub(crate) fn start(space: &Space, voice: &Voice, number: u32, doomed: bool) -> Result<Self> {
        let name = format!("worker {number}");
        let role = if doomed { "doomed worker" } else { "worker" };
        let mut child = command(space, role)?.stdout(Stdio::piped()).spawn()?;
        let diary = Arc::new(Diary::default());
        let mut readers = JoinSet::new();
        let (notes, unknown, who) = (Arc::clone(&diary), voice.clone(), name.clone());
        readers.spawn(read(child.stdout.take(), move |line| {
            if !notes.note(&line) {
                unknown.say(format!("{who} says: {line}"));
            }
        }));
        readers.spawn(pass_on(child.stderr.take(), voice.clone(), name.clone()));
        let input = child.stdin.take();
        Ok(Self { name, diary, child, input, readers })
    }

    /// Its process number; 0 once it has ended.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// An error if it has ended by itself.
    pub(crate) fn check(&mut self) -> Result<()> {
        match self.child.try_wait()? {
            Some(status) => Err(format!("{} ended early: {status}", self.name).into()),
            None => Ok(()),
        }
    }

    /// Ends it with SIGKILL: it can clean up nothing. Returns when it is gone and all that it has
    /// told is known.
    pub(crate) async fn kill(&mut self) -> Result<()> {
        self.child.kill().await?;
        while self.readers.join_next().await.is_some() {}
        Ok(())
    }

    /// Tells it to finish and to leave in order.
    pub(crate) fn release(&mut self) {
        self.input = None;
    }

    /// Waits until it has left. Returns when all that it has told is known.
    pub(crate) async fn stop(&mut self) -> Result<()> {
        self.release();
        match tokio::time::timeout(PATIENCE, self.child.wait()).await {
            Ok(status) => expect_success(&self.name, status?)?,
            Err(_) => self.child.kill().await?,
        }
        while self.readers.join_next().await.is_some() {}
        Ok(())
    }
}

/// Starts a client process and tells it the files; ends when it has enqueued them all.
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
    // Why it ended says more than that it could not be written to.
    expect_success("the client", child.wait().await?)?;
    written
}

/// This program in another role. Away from the terminal's process group: at Ctrl-C the coordinator
/// decides what becomes of the others.
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
