//! Operations on a queue whose jobs come and go, and the removal of everything at the end.

use std::time::{Duration, Instant};

use poolder::{Cursor, Error, Handle, Inspector, JobId, Lane, Page, QueueName};

use super::caller::{Calls, END, PAUSE};
use super::draw::Draw;
use super::{BATCHER, COPIES, JOBS, Odd, PLAYGROUND, SIZE, SLOTS};

/// The most jobs in a page, whatever is asked for.
const PAGE: usize = 500;

impl Calls {
    /// Enqueues a job and makes a drawn operation.
    pub(super) async fn operate_queue(&self, number: u64, mut draw: Draw) {
        let queue = self.client.inspect(PLAYGROUND);
        let what = format!("operate {PLAYGROUND} {number}");
        let job = Odd { number, fails: draw.random.percent(50), padding: String::new() };
        let after = draw.duration();
        let enqueue =
            async || self.client.enqueue(job.clone()).queue(PLAYGROUND).after(after).await;
        let Some(receipt) = self.good(&what, enqueue).await else { return };
        // Other operations run at the same time: the job may be anywhere.
        let job = match draw.random.percent(60) {
            true => Handle::from(&receipt),
            false => JobId::generate().in_queue(PLAYGROUND).unwrap(),
        };
        let at = draw.random.percent(50);
        let at = draw.moment(at);
        match draw.random.between(0, 15) {
            0 => drop(self.good(&what, async || queue.overview().await).await),
            1..5 => self.pages(&what, &queue, draw).await,
            5 => drop(self.good(&what, async || self.client.job(&job).view().await).await),
            6 => {
                self.good_or_gone(&what, async || self.client.job(&job).remove().await).await;
            }
            7 => {
                self.good_or_gone(&what, async || self.client.job(&job).reschedule(at).await).await;
            }
            8 => {
                self.good_or_gone(&what, async || self.client.job(&job).run_now().await).await;
            }
            9 => {
                self.good_or_gone(&what, async || self.client.job(&job).revive().await).await;
                self.good(&what, async || queue.revive_where(|_| true).await).await;
            }
            10 => drop(self.good(&what, async || queue.drain().await).await),
            11 => drop(self.good(&what, async || queue.purge_dead().await).await),
            12 => {
                self.good(&what, async || self.client.pause(PLAYGROUND).await).await;
                self.good(&what, async || self.client.resume(PLAYGROUND).await).await;
            }
            13 => drop(self.good(&what, async || self.client.job(&job).cancel().await).await),
            14 => self.results(&what, &job).await,
            _ => self.fleet(&what).await,
        }
    }

    /// Reads a page of each listing, with any count and a cursor of the same or another listing.
    async fn pages(&self, what: &str, queue: &Inspector, mut draw: Draw) {
        let most = draw.random.pick(&[0, 1, 500, 501, usize::MAX]);
        let cursors = ["normal.0-0", "low.18446744073709551615-0", "0.0", "9223372036854775807.7"];
        let text = draw.random.pick(&cursors);
        let Some(cursor) = self.good(what, async || text.parse::<Cursor>()).await else { return };
        let by_time = text.starts_with(|first: char| first.is_ascii_digit());
        let (page, foreign) = match draw.random.between(0, 3) {
            0 => {
                let ready = async || queue.ready(Lane::Normal, Some(&cursor), most).await;
                (self.answer(what, ready).await, !text.starts_with("normal"))
            }
            1 => (self.answer(what, async || queue.running(None, most).await).await, false),
            2 => (self.answer(what, async || queue.due(Some(&cursor), most).await).await, !by_time),
            _ => {
                (self.answer(what, async || queue.dead(Some(&cursor), most).await).await, !by_time)
            }
        };
        match page {
            Some(Ok(Page { jobs, .. })) if !foreign && jobs.len() <= most.clamp(1, PAGE) => {}
            Some(Err(error)) if foreign && error.is_invalid() => {}
            None => {}
            Some(other) => {
                let text = format!("{what}: most {most}, cursor {text}: {other:?}");
                self.broken("a page is wrong", text);
            }
        }
    }

    async fn results(&self, what: &str, job: &Handle) {
        self.good(what, async || self.client.job(job).state().await).await;
        self.good(what, async || self.client.job(job).progress().await).await;
        let ended = |error: &Error| error.is_dead() || error.is_timeout() || error.is_cancelled();
        let wait = async || self.client.job(job).wait::<u64>().timeout(Duration::ZERO).await;
        match self.answer(what, wait).await {
            Some(Err(error)) if !ended(&error) => {
                self.broken("a wait ended wrongly", format!("{what}: {error}"));
            }
            _ => {}
        }
    }

    async fn fleet(&self, what: &str) {
        self.good(what, async || self.client.ping().await).await;
        self.good(what, async || self.client.nodes().await).await;
        let queues = self.good(what, async || self.client.queues().await).await;
        let is_here = |all: Vec<QueueName>| all.iter().any(|queue| queue.as_str() == PLAYGROUND);
        if queues.is_some_and(|all| !is_here(all)) {
            self.broken("a queue is not listed", what);
        }
        let text = format!("no queue/{}", JobId::generate());
        match self.answer(what, async || self.client.job(&text).remove().await).await {
            Some(Err(error)) if error.is_invalid() => {}
            other => self.broken("a text that is no handle was accepted", format!("{other:?}")),
        }
    }

    /// Removes everything that the calls have left, until nothing is there.
    pub(super) async fn clean_up(&self) {
        let what = "clean up";
        let pool = self.slots();
        self.good_or_gone(what, async || pool.start().await).await;
        self.good(what, async || self.client.resume(PLAYGROUND).await).await;
        let schedules = self.client.schedules(JOBS);
        for schedule in self.good(what, async || schedules.list().await).await.unwrap_or_default() {
            self.good(what, async || schedules.remove(&schedule.name).await).await;
        }
        self.good(what, async || self.client.resume(COPIES).await).await;
        self.clear_sets().await;
        // A resize is refused while an earlier one is in progress.
        self.good_or_gone(what, async || pool.resize(SIZE).await).await;
        let begun = Instant::now();
        while !self.good(what, async || self.sweep().await).await.unwrap_or(true) {
            if begun.elapsed() > END {
                self.broken("jobs cannot be removed", what);
                return;
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Removes what can be removed now. Returns true when nothing is left.
    async fn sweep(&self) -> Result<bool, Error> {
        let mut clean = true;
        for queue in [JOBS, PLAYGROUND, BATCHER] {
            let queue = self.client.inspect(queue);
            queue.drain().await?;
            queue.purge_dead().await?;
            for running in queue.running(None, PAGE).await?.jobs {
                self.client.job(&running.handle).cancel().await?;
            }
            let view = queue.overview().await?;
            clean &= view.ready() + view.running() + view.due + view.dead == 0;
        }
        let slots = self.client.inspect(SLOTS);
        let due = slots.due(None, PAGE).await?.jobs;
        let dead = slots.dead(None, PAGE).await?.jobs;
        clean &= due.is_empty() && dead.is_empty();
        for job in due.iter().chain(&dead) {
            match self.client.job(&job.handle).remove().await {
                Err(error) if !(error.is_gone() || error.is_not_found()) => return Err(error),
                _ => {}
            }
        }
        Ok(clean)
    }
}
