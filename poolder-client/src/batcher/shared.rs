//! Combines concurrent pushes of a process into calls: pushes that arrive while a call is on its
//! way go into the next call.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use poolder_core::Error;
use poolder_core::broker::{
    BatchOptions, BatcherHome, Broker, CHUNK, CHUNK_BYTES, ListEnd, PushCall, PushVerdict,
};
use tokio::sync::oneshot;

use crate::batcher::refusal::{check_fits, refusal};

type Reply = oneshot::Sender<Result<(), Error>>;

/// State that all handles of one batcher share.
#[derive(Debug)]
pub(crate) struct BatcherState {
    pub(super) broker: Broker,
    pub(super) home: BatcherHome,
    /// The options that this program declares for the batcher.
    pub(super) declared: RwLock<Option<BatchOptions>>,
    /// The options stored on the server, once read.
    options: RwLock<Option<Arc<BatchOptions>>>,
    queue: PushQueue,
}

impl BatcherState {
    pub(crate) fn new(broker: Broker, home: BatcherHome) -> Self {
        let (declared, options) = (RwLock::default(), RwLock::default());
        Self { broker, home, declared, options, queue: PushQueue::default() }
    }

    /// Returns the options in effect. The first push reads them and later pushes use the cached
    /// copy.
    pub(super) async fn options(&self) -> Result<Arc<BatchOptions>, Error> {
        let known = self.options.read().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(known) = known {
            return Ok(known);
        }
        let declared = self.declared.read().unwrap_or_else(PoisonError::into_inner).clone();
        let options = match declared {
            Some(declared) => self.broker.declare_batcher(&self.home, &declared).await?,
            None => self.broker.batcher_options(&self.home).await?,
        };
        // A failure only leaves the queue out of the list of queues.
        if let Err(error) = self.broker.register_queue(self.home.partition()).await {
            let queue = &self.home.partition().queue;
            tracing::debug!(%queue, %error, "could not register the batcher's queue");
        }
        let options = Arc::new(options);
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&options));
        Ok(options)
    }

    /// Forgets the options when the batcher is gone, which may return with other options. Returns
    /// true when the batcher is gone and this program declares it: the refused push can be sent
    /// again, since the next call of [`BatcherState::options`] declares the batcher again.
    pub(super) fn learn_from(&self, error: &Error) -> bool {
        if error.is_not_found() {
            self.forget_options();
        }
        let declares = self.declared.read().unwrap_or_else(PoisonError::into_inner).is_some();
        error.is_not_found() && declares
    }

    /// Forgets the cached options, since other options are stored by now.
    pub(super) fn forget_options(&self) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Pushes an entry in a call that it shares with other waiting pushes.
    pub(super) async fn push_with_others(
        self: &Arc<Self>,
        group: Arc<str>,
        end: ListEnd,
        entry: Vec<u8>,
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.queue.put(Waiter { group, end, entry, reply }) {
            // A separate task, since the caller's future may be dropped. The task ends when no push
            // waits.
            tokio::spawn(PushTask { shared: Arc::clone(self), finished: false }.run());
        }
        answer.await.unwrap_or_else(|_| {
            Err(Error::unknown("the runtime stopped while an entry was pushed"))
        })
    }

    /// Sends entries, in one pipeline with one call for each group. Returns the replies.
    async fn send_all(&self, mut waiters: Vec<Waiter>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(waiters.len());
        let mut refusal = Error::refused("the batcher's options keep changing, push again");
        // Repeated when the stored options turn out to differ from the cached ones.
        for _ in 0..3 {
            match self.options().await {
                Ok(options) => waiters = self.send(&options, waiters, &mut answers).await,
                Err(error) => {
                    refusal = error;
                    break;
                }
            }
            if waiters.is_empty() {
                break;
            }
        }
        let left = waiters.into_iter().map(|waiter| Answer::error(waiter.reply, &refusal));
        answers.extend(left);
        answers
    }

    /// Sends entries once and adds the replies to `answers`. Returns the entries to send again.
    async fn send(
        &self,
        options: &BatchOptions,
        waiters: Vec<Waiter>,
        answers: &mut Vec<Answer>,
    ) -> Vec<Waiter> {
        let grouped = grouped(options, waiters, answers);
        let call = |push: &GroupedPush| (Arc::clone(&push.group), push.end);
        let places: Vec<_> = grouped.iter().map(call).collect();
        let calls: Vec<PushCall<'_>> = grouped
            .iter()
            .zip(&places)
            .map(|(push, (group, end))| PushCall {
                group,
                entries: &push.entries,
                end: *end,
                token: None,
            })
            .collect();
        let results = self.broker.push_entries(&self.home, options, &calls).await;
        let mut again = vec![];
        for (push, result) in grouped.into_iter().zip(results) {
            let GroupedPush { group, end, entries, replies } = push;
            let pushed = match result {
                Ok(pushed) => pushed,
                Err(error) if self.learn_from(&error) => {
                    let waiters = entries.into_iter().zip(replies);
                    again.extend(waiters.map(|(entry, reply)| {
                        let group = Arc::clone(&group);
                        Waiter { group, end, entry, reply }
                    }));
                    continue;
                }
                Err(error) => {
                    answers.extend(replies.into_iter().map(|reply| Answer::error(reply, &error)));
                    continue;
                }
            };
            if pushed.verdict == PushVerdict::Options {
                self.forget_options();
            }
            let refusal = refusal(&self.home, options, pushed.verdict);
            for (at, (entry, reply)) in entries.into_iter().zip(replies).enumerate() {
                match &refusal {
                    _ if at < pushed.stored => answers.push(Answer { reply, result: Ok(()) }),
                    Some(error) => answers.push(Answer::error(reply, error)),
                    None => again.push(Waiter { group: Arc::clone(&group), end, entry, reply }),
                }
            }
        }
        again
    }
}

/// A pushed entry and the channel to its caller.
struct Waiter {
    group: Arc<str>,
    end: ListEnd,
    entry: Vec<u8>,
    reply: Reply,
}

/// Pushes that wait for the next call. Their number is bounded by the callers, each of which waits
/// for its reply.
#[derive(Default)]
struct PushQueue {
    inner: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<Waiter>,
    /// True while a task sends the waiting pushes.
    busy: bool,
}

impl std::fmt::Debug for PushQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.len();
        f.debug_struct("PushQueue").field("waiting", &waiting).finish()
    }
}

impl PushQueue {
    /// Adds an entry; returns true when no task is sending, so that the caller must start one.
    fn put(&self, waiter: Waiter) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.push_back(waiter);
        !std::mem::replace(&mut inner.busy, true)
    }

    /// Takes the entries of the next call, in order. An empty result ends the task that sends.
    fn take(&self) -> Vec<Waiter> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<Waiter> = vec![];
        let mut bytes = 0;
        while let Some(next) = inner.waiting.pop_front() {
            // The caller gave up before its entry was sent, so the entry is dropped.
            if next.reply.is_closed() {
                continue;
            }
            bytes += next.entry.len();
            if taken.len() == CHUNK || (bytes > CHUNK_BYTES && !taken.is_empty()) {
                inner.waiting.push_front(next);
                break;
            }
            taken.push(next);
        }
        inner.busy = !taken.is_empty();
        taken
    }

    /// Drops all waiting pushes, whose callers get an error, and lets the next push start a task.
    fn abandon(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.clear();
        inner.busy = false;
    }
}

/// The task that sends pushes until none waits.
struct PushTask {
    shared: Arc<BatcherState>,
    finished: bool,
}

impl PushTask {
    async fn run(mut self) {
        // Pushes that other tasks make at this moment join the first call.
        tokio::task::yield_now().await;
        let mut answers = vec![];
        loop {
            let taken = self.shared.queue.take();
            if taken.is_empty() {
                // From here on another task may have been started.
                self.finished = true;
                answers.into_iter().for_each(Answer::deliver);
                return;
            }
            let replies = async {
                // Callers continue while the server works on the next call.
                tokio::task::yield_now().await;
                answers.into_iter().for_each(Answer::deliver);
            };
            let (fresh, ()) = tokio::join!(self.shared.send_all(taken), replies);
            answers = fresh;
        }
    }
}

impl Drop for PushTask {
    /// When the runtime stops, the task is dropped unfinished; the next push, on another runtime,
    /// starts a new task.
    fn drop(&mut self) {
        if !self.finished {
            self.shared.queue.abandon();
        }
    }
}

/// Entries of one group that go to the same end of its list.
struct GroupedPush {
    group: Arc<str>,
    end: ListEnd,
    entries: Vec<Vec<u8>>,
    replies: Vec<Reply>,
}

/// Sorts entries by group, in their order; a change of the end begins a new item. Entries that are
/// too large for any batch get an error in `answers`.
fn grouped(
    options: &BatchOptions,
    waiters: Vec<Waiter>,
    answers: &mut Vec<Answer>,
) -> Vec<GroupedPush> {
    let mut grouped: Vec<GroupedPush> = vec![];
    for Waiter { group, end, entry, reply } in waiters {
        if let Err(error) = check_fits(options, entry.len()) {
            answers.push(Answer { reply, result: Err(error) });
            continue;
        }
        let last = grouped.iter().rposition(|push| push.group == group);
        let at = last.filter(|at| grouped[*at].end == end).unwrap_or_else(|| {
            grouped.push(GroupedPush { group, end, entries: vec![], replies: vec![] });
            grouped.len() - 1
        });
        grouped[at].entries.push(entry);
        grouped[at].replies.push(reply);
    }
    grouped
}

/// The result of a push and the channel to its caller.
struct Answer {
    reply: Reply,
    result: Result<(), Error>,
}

impl Answer {
    fn error(reply: Reply, error: &Error) -> Self {
        Self { reply, result: Err(error.repeated()) }
    }

    /// Sends the result to the caller, unless the caller has stopped waiting.
    fn deliver(self) {
        let _ = self.reply.send(self.result);
    }
}
