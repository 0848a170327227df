//! The processes that faults hit. Each has its own proxy between it and the server, and is started
//! again when it ends too early.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

use crate::child::{self, Instructions};
use crate::ledger::{Ledger, Record};
use crate::proxy::Proxy;

/// A process, or a succession of processes with one name.
pub(crate) struct Member {
    instructions: Instructions,
    child: Option<Child>,
    /// The standard input of the process, whose end tells the process that the torture has ended.
    /// It is held here because waiting for a child would close it.
    lifeline: Option<ChildStdin>,
    state: State,
}

/// The intended state of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// The process is to run, and is started again when it ends.
    Wanted,
    /// The process has ended successfully after all its work.
    Finished,
    /// The process is not started again.
    Dismissed,
}

/// A handle to a member. Name and proxy stay available while a fault holds the member.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) name: Arc<str>,
    proxy: Option<Arc<Proxy>>,
    pub(crate) member: Arc<Mutex<Member>>,
}

impl Handle {
    /// Starts the first process of this name. With a proxy, the process connects to the proxy.
    pub(crate) fn start(
        mut instructions: Instructions,
        proxy: Option<Proxy>,
    ) -> Result<Self, String> {
        let common = instructions.common();
        if let Some(proxy) = &proxy {
            common.url = proxy.url();
        }
        common.incarnation = 0;
        let name = common.name.as_str().into();
        let mut member = Member { instructions, child: None, lifeline: None, state: State::Wanted };
        member.spawn()?;
        Ok(Self { name, proxy: proxy.map(Arc::new), member: Arc::new(Mutex::new(member)) })
    }

    /// Returns the proxy of the member.
    pub(crate) fn proxy(&self) -> Result<&Proxy, String> {
        self.proxy.as_deref().ok_or_else(|| format!("{} has no proxy", self.name))
    }

    /// Starts the process again whenever it ends too early, and records that, until it has finished
    /// or is dismissed.
    pub(crate) async fn keep(self, ledger: Ledger) -> Result<(), String> {
        loop {
            {
                let mut member = self.member.lock().await;
                if member.state != State::Wanted {
                    return Ok(());
                }
                if let Some(ended) = member.ended()? {
                    if ended.success() && !matches!(member.instructions, Instructions::Worker(_)) {
                        member.state = State::Finished;
                        return Ok(());
                    }
                    ledger.write(Record::Died { target: self.name.to_string() });
                    member.spawn()?;
                }
            }
            // Polling, because a fault may need the member, and its lock, at any time.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Member {
    /// Starts the next process of this name.
    pub(crate) fn spawn(&mut self) -> Result<(), String> {
        let common = self.instructions.common();
        common.incarnation += 1;
        let mutation = common.mutation.clone();
        let program = program()?;
        let words = serde_json::to_string(&self.instructions).map_err(|error| error.to_string())?;
        let mut command = Command::new(&program);
        // A process group of its own: Ctrl-C at a terminal reaches only the torture, which then
        // cleans up. If the torture dies, the system wakes and ends paused processes.
        command.arg(child::WORD).arg(words).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).env("POOLDER_MUTATION", mutation);
        let mut child =
            command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        self.lifeline = child.stdin.take();
        self.child = Some(child);
        Ok(())
    }

    /// Returns the exit status of the process, if it has ended.
    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, String> {
        match &mut self.child {
            Some(child) => child.try_wait().map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }

    /// Returns true when there is a process that a fault can hit.
    pub(crate) fn is_up(&mut self) -> bool {
        self.state == State::Wanted && self.child.is_some() && matches!(self.ended(), Ok(None))
    }

    /// Returns the process id while the process runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// Returns true when the process has finished its work.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Sends a signal, named without `SIG`.
    pub(crate) async fn signal(&self, name: &str) -> Result<(), String> {
        // The process id is not reused before the child has been waited for.
        let Some(pid) = self.pid() else { return Ok(()) };
        signal(pid, name).await
    }

    /// Kills the process and waits for its end.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waits for the end of the process. Returns true if it ended within `limit`.
    pub(crate) async fn await_end(&mut self, limit: Duration) -> bool {
        let Some(child) = &mut self.child else { return true };
        let in_time = tokio::time::timeout(limit, child.wait()).await.is_ok();
        if in_time {
            self.child = None;
        }
        in_time
    }

    /// Stops the process from being started again.
    pub(crate) fn dismiss(&mut self) {
        self.state = State::Dismissed;
    }
}

/// Sends a signal, named without `SIG`, to a process.
pub(crate) async fn signal(pid: u32, name: &str) -> Result<(), String> {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]);
    match kill.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("kill -{name} {pid}: {status}")),
        Err(error) => Err(format!("kill: {error}")),
    }
}

/// Returns the path of the running program itself, so that a build that replaces the file does not
/// change this run.
pub(crate) fn program() -> Result<PathBuf, String> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().map_err(|error| error.to_string())
}
