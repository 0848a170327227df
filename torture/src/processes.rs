//! The processes that are tormented: each with a proxy of its own between it and the server, and
//! started again when it ends too early.

use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::Mutex;

use crate::child::{self, Orders};
use crate::ledger::{Ledger, Record};
use crate::proxy::Proxy;

/// A process, or a succession of processes under one name.
pub(crate) struct Member {
    orders: Orders,
    child: Option<Child>,
    /// The end of it tells the process that we are gone. Waiting for a child would close it.
    lifeline: Option<ChildStdin>,
    state: State,
}

/// What is to become of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is to run, and is started again when it ends.
    Wanted,
    /// It ended well, having done its share.
    Finished,
    /// It is not to be started again.
    Dismissed,
}

/// A handle: the name and the proxy are there also while a fault holds the member.
#[derive(Clone)]
pub(crate) struct Handle {
    pub(crate) name: Arc<str>,
    proxy: Option<Arc<Proxy>>,
    pub(crate) member: Arc<Mutex<Member>>,
}

impl Handle {
    /// Starts the first process of that name. Where there is a proxy, it is told to go there.
    pub(crate) fn start(mut orders: Orders, proxy: Option<Proxy>) -> Result<Self, String> {
        let common = orders.common();
        if let Some(proxy) = &proxy {
            common.url = proxy.url();
        }
        common.incarnation = 0;
        let name = common.name.as_str().into();
        let mut member = Member { orders, child: None, lifeline: None, state: State::Wanted };
        member.spawn()?;
        Ok(Self { name, proxy: proxy.map(Arc::new), member: Arc::new(Mutex::new(member)) })
    }

    /// Its proxy.
    pub(crate) fn proxy(&self) -> Result<&Proxy, String> {
        self.proxy.as_deref().ok_or_else(|| format!("{} has no proxy", self.name))
    }

    /// Starts it again whenever it ends too early, and notes that, until it has finished or is
    /// dismissed.
    pub(crate) async fn keep(self, ledger: Ledger) -> Result<(), String> {
        loop {
            {
                let mut member = self.member.lock().await;
                if member.state != State::Wanted {
                    return Ok(());
                }
                if let Some(ended) = member.ended()? {
                    if ended.success() && !matches!(member.orders, Orders::Worker(_)) {
                        member.state = State::Finished;
                        return Ok(());
                    }
                    ledger.write(Record::Died { target: self.name.to_string() });
                    member.spawn()?;
                }
            }
            // Nothing tells of the end of a child that somebody else may signal meanwhile.
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Member {
    /// Starts the next process of this name.
    pub(crate) fn spawn(&mut self) -> Result<(), String> {
        let common = self.orders.common();
        common.incarnation += 1;
        let mutation = common.mutation.clone();
        let program = program()?;
        let words = serde_json::to_string(&self.orders).map_err(|error| error.to_string())?;
        let mut command = Command::new(&program);
        // A group of its own: Ctrl-C at a terminal is for us, who then clean up; and a stopped
        // process whose parent dies is woken and ended by the system.
        command.arg(child::WORD).arg(words).process_group(0).kill_on_drop(true);
        command.stdin(Stdio::piped()).stdout(Stdio::null()).env("POOLDER_MUTATION", mutation);
        let mut child =
            command.spawn().map_err(|error| format!("{}: {error}", program.display()))?;
        self.lifeline = child.stdin.take();
        self.child = Some(child);
        Ok(())
    }

    /// How the process ended, if it has.
    fn ended(&mut self) -> Result<Option<std::process::ExitStatus>, String> {
        match &mut self.child {
            Some(child) => child.try_wait().map_err(|error| error.to_string()),
            None => Ok(None),
        }
    }

    /// True when there is a process to torment.
    pub(crate) fn is_up(&mut self) -> bool {
        self.state == State::Wanted && self.child.is_some() && matches!(self.ended(), Ok(None))
    }

    /// The number of the process, while it runs.
    pub(crate) fn pid(&self) -> Option<u32> {
        self.child.as_ref().and_then(Child::id)
    }

    /// True when it has done its share.
    pub(crate) fn is_finished(&self) -> bool {
        self.state == State::Finished
    }

    /// Sends a signal by its name.
    pub(crate) async fn signal(&self, name: &str) -> Result<(), String> {
        // As long as the child was not waited for, its number belongs to nobody else.
        let Some(pid) = self.pid() else { return Ok(()) };
        signal(pid, name).await
    }

    /// Kills it and waits for its end.
    pub(crate) async fn kill(&mut self) -> Result<(), String> {
        if let Some(mut child) = self.child.take() {
            child.kill().await.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Waits for its end; true when it came in time.
    pub(crate) async fn await_end(&mut self, limit: Duration) -> bool {
        let Some(child) = &mut self.child else { return true };
        let in_time = tokio::time::timeout(limit, child.wait()).await.is_ok();
        if in_time {
            self.child = None;
        }
        in_time
    }

    /// It is not started again.
    pub(crate) fn dismiss(&mut self) {
        self.state = State::Dismissed;
    }
}

/// Sends a signal by its name to a process.
pub(crate) async fn signal(pid: u32, name: &str) -> Result<(), String> {
    let mut kill = Command::new("kill");
    kill.args([&format!("-{name}"), &pid.to_string()]);
    match kill.status().await {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("kill -{name} {pid}: {status}")),
        Err(error) => Err(format!("kill: {error}")),
    }
}

/// This very program: a build that replaces its file must not change a run that is under way.
pub(crate) fn program() -> Result<PathBuf, String> {
    if cfg!(target_os = "linux") {
        return Ok("/proc/self/exe".into());
    }
    std::env::current_exe().map_err(|error| error.to_string())
}
