//! Pushes that meet in a process travel together: while one call is on its way, the next gathers.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use poolder_core::Error;
use poolder_core::broker::{
    BatchOptions, BatcherHome, Broker, CHUNK, CHUNK_BYTES, ListEnd, PushCall, PushVerdict,
};
use tokio::sync::oneshot;

use crate::batcher::refusal::{check_fits, refusal};

type Reply = oneshot::Sender<Result<(), Error>>;

/// What all handles of one batcher share.
#[derive(Debug)]
pub(crate) struct BatcherState {
    pub(super) broker: Broker,
    pub(super) home: BatcherHome,
    /// The options this program has for it.
    pub(super) declared: RwLock<Option<BatchOptions>>,
    /// Those that are stored, once they were read.
    options: RwLock<Option<Arc<BatchOptions>>>,
    queue: PushQueue,
}

impl BatcherState {
    pub(crate) fn new(broker: Broker, home: BatcherHome) -> Self {
        let (declared, options) = (RwLock::default(), RwLock::default());
        Self { broker, home, declared, options, queue: PushQueue::default() }
    }

    /// The options that hold, read at the first push.
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
        // A failure costs only a line in a listing.
        if let Err(error) = self.broker.register_queue(self.home.partition()).await {
            tracing::debug!(queue = %self.home.partition().queue, %error, "not registered");
        }
        let options = Arc::new(options);
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&options));
        Ok(options)
    }

    /// A batcher that is gone may come back with other options.
    pub(super) fn learn_from(&self, error: &Error) {
        if error.is_gone() {
            self.forget_options();
        }
    }

    /// Others are stored by now.
    pub(super) fn forget_options(&self) {
        *self.options.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Pushes an entry together with whatever else is pushed.
    pub(super) async fn push_with_others(
        self: &Arc<Self>,
        group: Arc<str>,
        end: ListEnd,
        entry: Vec<u8>,
    ) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        if self.queue.put(Waiter { group, end, entry, reply }) {
            // A task of its own, since the one that pushes may be dropped. It ends by itself.
            tokio::spawn(PushTask { shared: Arc::clone(self), finished: false }.run());
        }
        answer.await.unwrap_or_else(|_| {
            Err(Error::unknown("the runtime went down while an entry was pushed"))
        })
    }

    /// Sends entries, one call for each group. Returns the answers.
    async fn carry(&self, mut waiters: Vec<Waiter>) -> Vec<Answer> {
        let mut answers = Vec::with_capacity(waiters.len());
        let mut refusal = Error::refused("the batcher's options keep changing, push again");
        // A second time when other options are stored than were known.
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

    /// Sends entries and notes the answers; returns those to be sent again.
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
                Err(error) => {
                    self.learn_from(&error);
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

/// A pushed entry and who waits for it.
struct Waiter {
    group: Arc<str>,
    end: ListEnd,
    entry: Vec<u8>,
    reply: Reply,
}

/// Where pushes wait for the next call. It is bounded by the pushes in flight, each of which waits
/// for its reply.
#[derive(Default)]
struct PushQueue {
    inner: Mutex<QueueState>,
}

#[derive(Default)]
struct QueueState {
    waiting: VecDeque<Waiter>,
    /// True while somebody carries the waiting away.
    busy: bool,
}

impl std::fmt::Debug for PushQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let waiting = self.inner.lock().unwrap_or_else(PoisonError::into_inner).waiting.len();
        f.debug_struct("Desk").field("waiting", &waiting).finish()
    }
}

impl PushQueue {
    /// Lays an entry down; true when somebody must be found to carry it.
    fn put(&self, waiter: Waiter) -> bool {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.push_back(waiter);
        !std::mem::replace(&mut inner.busy, true)
    }

    /// Takes what fits into one call, in order; nothing ends the carrying.
    fn take(&self) -> Vec<Waiter> {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken: Vec<Waiter> = vec![];
        let mut bytes = 0;
        while let Some(next) = inner.waiting.pop_front() {
            // Who gave up before it was sent does not want it to be.
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

    /// Nobody carries any more, and who waits is told so.
    fn abandon(&self) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.waiting.clear();
        inner.busy = false;
    }
}

/// Carries entries away until none waits.
struct PushTask {
    shared: Arc<BatcherState>,
    finished: bool,
}

impl PushTask {
    async fn run(mut self) {
        // Those who push at this very moment come along.
        tokio::task::yield_now().await;
        let mut answers = vec![];
        loop {
            let taken = self.shared.queue.take();
            if taken.is_empty() {
                // From here on somebody else may be at it.
                self.finished = true;
                answers.into_iter().for_each(Answer::tell);
                return;
            }
            let told = async {
                // The server works on the next call while those of the last one go on.
                tokio::task::yield_now().await;
                answers.into_iter().for_each(Answer::tell);
            };
            let (fresh, ()) = tokio::join!(self.shared.carry(taken), told);
            answers = fresh;
        }
    }
}

impl Drop for PushTask {
    /// Dropped on its way, with the runtime: another runtime may go on with what is new.
    fn drop(&mut self) {
        if !self.finished {
            self.shared.queue.abandon();
        }
    }
}

/// Entries of one group on their way to one end.
struct GroupedPush {
    group: Arc<str>,
    end: ListEnd,
    entries: Vec<Vec<u8>>,
    replies: Vec<Reply>,
}

/// One heap per group, and a new one where the end changes; not of entries that no batch can take.
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

/// What a pusher is to be told.
struct Answer {
    reply: Reply,
    result: Result<(), Error>,
}

impl Answer {
    fn error(reply: Reply, error: &Error) -> Self {
        Self { reply, result: Err(error.repeated()) }
    }

    /// Who no longer waits is not told.
    fn tell(self) {
        let _ = self.reply.send(self.result);
    }
}
