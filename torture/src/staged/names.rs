//! The drill of names that are used again: what an id means when jobs of it were cancelled, deleted,
//! dead and revived before. The rules are those of `docs/identity.md`.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cancellation, Enqueue, Handle, JobId, JobState, QueueName, Receipt, Stored};
use tokio::task::{JoinSet, LocalSet};

use super::{Stage, within};
use crate::beside::Beside;
use crate::checker::{History, Verdict};
use crate::job::{Act, QUEUE, Step};
use crate::ledger::Ended;
use crate::random::Random;
use crate::scene::error_text;

/// The number of names, which are used at the same time, and how often each is used.
const NAMES: u64 = 12;
const ROUNDS: u64 = 12;
/// The distance between the first job numbers of two names, and of two rounds of a name.
const OF_NAME: u64 = 1_000;
const OF_ROUND: u64 = 10;
/// The node that is killed ends after this time, amid the rounds.
const KILLED_AFTER: Duration = Duration::from_secs(4);
/// The time for each step: jobs of a dead node go on within 12 s.
const PATIENCE: Duration = Duration::from_secs(30);
/// The time of a job that waits for its time, and the window of an idempotent one.
const LATER: Duration = Duration::from_secs(60 * 60);
/// The time that the server's clock needs to advance by a millisecond.
const TICK: Duration = Duration::from_millis(5);

/// The job numbers that must have come to their end, that must not have run, and that died.
#[derive(Debug, Default)]
struct Expected {
    done: Vec<u64>,
    never: Vec<u64>,
    died: u64,
    verdict: Verdict,
}

/// Uses names again and again while nodes serve the queue and one of them is killed.
pub(super) async fn names(mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
    let stage = Rc::new(Stage::new(mutation, folder)?);
    let mut nodes = vec![];
    for index in 0..3 {
        nodes.push(stage.node(index, 8, Beside::default()).await?);
    }
    let expected = Rc::new(RefCell::new(Expected::default()));
    let (local, mut users) = (LocalSet::new(), JoinSet::new());
    for number in 0..NAMES {
        let (stage, expected) = (Rc::clone(&stage), Rc::clone(&expected));
        let rounds = async move { Name::new(number, stage, expected)?.rounds().await };
        users.spawn_local_on(rounds, &local);
    }
    local
        .run_until(async {
            tokio::time::sleep(KILLED_AFTER).await;
            nodes[0].member.lock().await.kill().await?;
            while let Some(user) = users.join_next().await {
                user.map_err(error_text)??;
            }
            Ok::<_, String>(())
        })
        .await?;
    let mut expected = expected.take();
    let missing = || -> Result<Vec<u64>, String> {
        let history = History::read(&stage.folder)?;
        let done = |seq: &u64| {
            let job = history.jobs.get(seq);
            job.is_some_and(|job| job.executions.iter().any(|run| run.how == Some(Ended::Done)))
        };
        Ok(expected.done.iter().copied().filter(|seq| !done(seq)).collect())
    };
    within(PATIENCE, async || Ok(missing()?.is_empty())).await?;
    for seq in missing()? {
        expected.verdict.violate("lost", format!("job {seq}"));
    }
    let history = History::read(&stage.folder)?;
    for seq in expected.never.iter().filter(|seq| history.jobs.contains_key(seq)) {
        expected.verdict.violate("ran although it was removed", format!("job {seq}"));
    }
    let dead = stage.client.inspect(QUEUE).dead(None, 1_000).await;
    let dead = dead.map_err(error_text)?.jobs.len() as u64;
    if dead != expected.died {
        let text = format!("{dead} are listed of {}", expected.died);
        expected.verdict.violate("a death was lost", text);
    }
    for node in nodes {
        node.member.lock().await.kill().await?;
    }
    Ok(expected.verdict)
}

/// A name, and the number of its next job.
struct Name {
    name: String,
    handle: Handle,
    seq: u64,
    random: Random,
    stage: Rc<Stage>,
    expected: Rc<RefCell<Expected>>,
}

impl Name {
    fn new(number: u64, stage: Rc<Stage>, expected: Rc<RefCell<Expected>>) -> Result<Self, String> {
        let (name, queue) = (format!("name-{number}"), QueueName::new(QUEUE).map_err(error_text)?);
        let handle = Handle::new(queue.clone(), JobId::named(&queue, &name));
        let (seq, random) = (number * OF_NAME, Random::new(number, 11));
        Ok(Self { name, handle, seq, random, stage, expected })
    }

    async fn rounds(mut self) -> Result<(), String> {
        let first = self.seq;
        for round in 0..ROUNDS {
            if !self.expected.borrow().verdict.is_good() {
                break;
            }
            self.seq = first + round * OF_ROUND;
            match self.random.between(0, 5) {
                0 => self.complete().await?,
                1 => self.cancel_waiting().await?,
                2 => self.cancel_running().await?,
                3 => self.delete_waiting().await?,
                4 => self.die_twice().await?,
                _ => self.cancel_idempotent().await?,
            }
        }
        Ok(())
    }

    /// Returns the enqueue of the next job of this name. An even number stops when it is cancelled.
    fn next(&mut self, act: Act, millis: u64) -> (u64, Enqueue<Step>) {
        let seq = self.seq;
        self.seq += 2;
        (seq, self.stage.client.enqueue(Step { seq, act, millis }).id(&self.name))
    }

    async fn enqueue(&mut self, act: Act, millis: u64) -> Result<(u64, Receipt), String> {
        let (seq, enqueue) = self.next(act, millis);
        Ok((seq, enqueue.policy(Policy::default().attempts(1)).await.map_err(error_text)?))
    }

    async fn store_later(&mut self) -> Result<(), String> {
        let (seq, enqueue) = self.next(Act::Done, 1);
        enqueue.after(LATER).await.map_err(error_text)?;
        self.expected.borrow_mut().never.push(seq);
        Ok(())
    }

    fn is_done(&self, seq: u64) {
        self.expected.borrow_mut().done.push(seq);
    }

    fn violate(&self, what: &str, text: impl std::fmt::Display) {
        self.expected.borrow_mut().verdict.violate(what, format!("{}: {text}", self.name));
    }

    /// A caller that has enqueued gets the result of its own job.
    async fn complete(&mut self) -> Result<(), String> {
        let (seq, receipt) = self.enqueue(Act::Result, 20).await?;
        let found = self.stage.client.job(&receipt).wait::<u64>().timeout(PATIENCE).await;
        if found.as_ref().ok() != Some(&seq) {
            self.violate("the end of another job", format!("{found:?} instead of {seq}"));
        }
        self.is_done(seq);
        Ok(())
    }

    async fn cancel(&self, expected: Cancellation) -> Result<(), String> {
        let found = self.stage.client.job(&self.handle).cancel().await.map_err(error_text)?;
        if found != expected {
            self.violate("another cancellation", format!("{found:?}, not {expected:?}"));
        }
        Ok(())
    }

    async fn cancel_waiting(&mut self) -> Result<(), String> {
        self.store_later().await?;
        self.cancel(Cancellation::Removed).await
    }

    async fn delete_waiting(&mut self) -> Result<(), String> {
        self.store_later().await?;
        self.stage.client.job(&self.handle).remove().await.map_err(error_text)
    }

    async fn cancel_idempotent(&mut self) -> Result<(), String> {
        for delay in [LATER, Duration::ZERO] {
            let (seq, enqueue) = self.next(Act::Done, 1);
            let stored = enqueue.idempotent(LATER).after(delay).await.map_err(error_text)?.stored;
            if stored == Stored::Already {
                self.violate("the id was not free", format!("job {seq}"));
            }
            if delay == LATER {
                self.expected.borrow_mut().never.push(seq);
                self.cancel(Cancellation::Removed).await?;
            } else {
                // Later rounds do not ask for this receipt.
                self.until_started(seq).await?;
                self.is_done(seq);
                self.until_gone().await?;
                self.forget().await?;
            }
        }
        Ok(())
    }

    /// Removes the receipt of a job that has ended: its window is an hour.
    async fn forget(&self) -> Result<(), String> {
        let key = Stage::key(QUEUE, &format!("sent:{}", self.handle.job));
        self.stage.stand.command(&["DEL", &key]).map(drop)
    }

    /// A job that runs is stopped, and the one that is enqueued at once is not.
    async fn cancel_running(&mut self) -> Result<(), String> {
        let (seq, _) = self.enqueue(Act::Done, 60_000).await?;
        self.until_started(seq).await?;
        let found = self.stage.client.job(&self.handle).cancel().await.map_err(error_text)?;
        // The killed node leaves a job that nobody runs: it waits in its lane for a moment.
        if !matches!(found, Cancellation::Stopping | Cancellation::Removed) {
            self.violate("another cancellation", format!("{found:?}"));
        }
        tokio::time::sleep(TICK).await;
        let (next, _) = self.enqueue(Act::Done, 300).await?;
        self.is_done(next);
        self.until_started(next).await?;
        self.until_gone().await
    }

    /// Two jobs of the name die; each is kept, and each can be revived, and dies again.
    async fn die_twice(&mut self) -> Result<(), String> {
        let mut deaths = vec![];
        for _ in 0..2 {
            deaths.push(self.enqueue(Act::Doomed, 20).await?.0);
        }
        self.expected.borrow_mut().died += 2;
        for seq in &deaths {
            self.until_started(*seq).await?;
        }
        self.until_gone().await?;
        let queue = self.stage.client.inspect(QUEUE);
        let dead = queue.dead(None, 1_000).await.map_err(error_text)?.jobs;
        let own = dead.iter().filter(|view| view.id() == self.handle.job);
        for view in own.take(2) {
            self.stage.client.job(&view.handle).revive().await.map_err(error_text)?;
        }
        self.until_gone().await
    }

    async fn until_started(&self, seq: u64) -> Result<(), String> {
        let folder = self.stage.folder.clone();
        let started = async || Ok(crate::rollback::history(&folder, seq)?.is_some());
        if within(PATIENCE, started).await? {
            return Ok(());
        }
        self.violate("never started", format!("job {seq}"));
        Ok(())
    }

    /// Waits until no job of the name waits or runs.
    async fn until_gone(&self) -> Result<(), String> {
        let gone = async || {
            let state = self.stage.client.job(&self.handle).state().await.map_err(error_text)?;
            Ok(matches!(
                state,
                None | Some(JobState::Dead | JobState::Completed | JobState::Cancelled)
            ))
        };
        if within(PATIENCE, gone).await? {
            return Ok(());
        }
        self.violate("never ended", format!("{}", self.handle));
        Ok(())
    }
}
