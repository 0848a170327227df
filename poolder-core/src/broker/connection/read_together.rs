//! Reads that callers make at the same time, sent in as few round trips as one caller needs.
//!
//! A look at a fleet reads each partition of each queue, and each of these reads takes several steps
//! that depend on the ones before. [`Broker::read_together`] lets all of them go on until each waits
//! for a reply, sends what they have asked for in one pipeline per server, and gives them their
//! replies. So all partitions together need as many round trips as the longest of the reads.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;

use tokio::task::unconstrained;

use crate::broker::connection::ask_all::Taken;
use crate::broker::connection::broker::Broker;
use crate::broker::connection::together::{Together, Waiter};

/// The most commands of a pipeline.
const MAX_COMMANDS: usize = 2_000;
/// The most commands of a pipeline whose replies hold jobs.
const MAX_LARGE: usize = 192;

impl Broker {
    /// Returns what `read` returns. All that it reads at the same time, with the broker that it is
    /// given, goes to the servers together. It is for reads alone: a command whose reply is lost has
    /// an unknown outcome, whichever commands were sent beside it.
    pub async fn read_together<T, F>(&self, read: impl FnOnce(Self) -> F) -> T
    where
        F: Future<Output = T>,
    {
        if self.together().is_some() {
            return read(self.clone()).await;
        }
        let together = Arc::new(Together::default());
        // A caller whose reply has come goes on at once, however many others have theirs: a pause
        // would split the next pipeline.
        let mut reading = pin!(unconstrained(read(self.with_together(Arc::clone(&together)))));
        let mut taken = Some(Taken::default());
        let mut sending: Option<Pin<Box<dyn Future<Output = Taken> + Send + '_>>> = None;
        poll_fn(|cx| {
            loop {
                if let Poll::Ready(read) = reading.as_mut().poll(cx) {
                    return Poll::Ready(read);
                }
                if sending.is_none() {
                    let waiters = together.take();
                    if waiters.is_empty() {
                        return Poll::Pending;
                    }
                    let taken = taken.take().unwrap_or_default();
                    sending = Some(Box::pin(self.send_together(waiters, taken)));
                }
                if let Some(sent) = &mut sending {
                    match sent.as_mut().poll(cx) {
                        Poll::Ready(connections) => (taken, sending) = (Some(connections), None),
                        Poll::Pending => return Poll::Pending,
                    }
                }
            }
        })
        .await
    }

    /// Sends the commands of all callers, and gives each its replies.
    async fn send_together(&self, mut waiters: Vec<Waiter>, mut taken: Taken) -> Taken {
        // A caller that has given up needs no reply.
        waiters.retain(|waiter| !waiter.replies.is_closed());
        let mut waiters = waiters.into_iter().peekable();
        while waiters.peek().is_some() {
            let (mut commands, mut callers, mut large) = (vec![], vec![], 0);
            while let Some(waiter) = waiters.next_if(|next| {
                let count = next.commands.len();
                let large = large + if next.is_large { count } else { 0 };
                commands.is_empty()
                    || (commands.len() + count <= MAX_COMMANDS && large <= MAX_LARGE)
            }) {
                large += if waiter.is_large { waiter.commands.len() } else { 0 };
                callers.push((waiter.commands.len(), waiter.replies));
                commands.extend(waiter.commands);
            }
            let mut replies = self.ask_some(&commands, &mut taken).await.into_iter();
            for (count, caller) in callers {
                let _ = caller.send(replies.by_ref().take(count).collect());
            }
        }
        taken
    }
}
