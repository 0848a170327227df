//! The changes that run in this process, and the last ones that have ended.

use std::collections::VecDeque;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};

use poolder_client::Client;
use poolder_core::JobId;
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::plan::{self, Plan};
use super::progress::{End, Progress};
use super::running::Task;

/// The most changes that run at the same time.
const RUNNING: usize = 8;
/// The most changes that are remembered.
const KEPT: usize = 64;

/// The description of a change that is to begin.
#[derive(Debug)]
pub(crate) struct About {
    pub(crate) title: String,
    pub(crate) command: String,
    pub(crate) actor: String,
    pub(crate) back: String,
}

/// The changes of this process. Dropping it ends those that run.
#[derive(Debug, Default)]
pub(crate) struct Tasks {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    known: VecDeque<Arc<Task>>,
    running: JoinSet<()>,
}

impl Tasks {
    /// Begins a change; `None` while as many run as may.
    pub(crate) fn begin(&self, client: Client, plan: Plan, about: About) -> Option<Arc<Task>> {
        let About { title, command, actor, back } = about;
        let mut queues: Vec<String> = plan.parts.iter().map(|it| it.queue.to_string()).collect();
        queues.dedup();
        let task = Arc::new(Task {
            id: JobId::generate().to_string(),
            title,
            command,
            queues,
            actor,
            back,
            progress: watch::Sender::new(Progress::default()),
            is_stopped: AtomicBool::new(false),
        });
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        while inner.running.try_join_next().is_some() {}
        if inner.running.len() >= RUNNING {
            return None;
        }
        let running = Arc::clone(&task);
        inner.running.spawn(async move {
            let ends = Ends(running);
            let end = plan::run(&client, plan, &ends.0).await;
            ends.0.progress.send_modify(|progress| progress.end = Some(end));
        });
        inner.known.push_back(Arc::clone(&task));
        while inner.known.len() > KEPT {
            let ended = inner.known.iter().position(|it| it.progress.borrow().end.is_some());
            inner.known.remove(ended.unwrap_or_default());
        }
        Some(task)
    }

    /// Returns a change by its id.
    pub(crate) fn find(&self, id: &str) -> Option<Arc<Task>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.known.iter().find(|task| task.id == id).cloned()
    }
}

/// Says that a change has ended, also when its task was dropped or has panicked.
struct Ends(Arc<Task>);

impl Drop for Ends {
    fn drop(&mut self) {
        self.0.progress.send_if_modified(|progress| {
            let is_open = progress.end.is_none();
            if is_open {
                progress.end = Some(End::Failed("it ended before all jobs were looked at".into()));
            }
            is_open
        });
    }
}
