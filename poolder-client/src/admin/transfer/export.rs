//! Reading a namespace as the lines of an export.

use poolder_core::broker::Broker;
use poolder_core::policy::dispatch::Mode;
use poolder_core::view::{KeptJob, KeptState, Listing};
use poolder_core::{Error, JobState, Partition, QueueName, Timestamp};

use super::line::{Head, JobLine, Line, QueueLine, VERSION};
use super::report::ExportSums;
use crate::client::Client;

/// The most jobs that are read at once.
const STEP: usize = 500;

/// An export; made by [`Client::export`].
#[derive(Debug, Clone)]
#[must_use = "nothing is read before `write` is called"]
pub struct Export {
    client: Client,
    queues: Vec<String>,
    states: Vec<KeptState>,
}

impl Client {
    /// Returns an export of all queues: their settings, their schedules and their jobs as lines of
    /// JSON, which [`Client::import`] stores again, also in another namespace or on another server.
    /// `docs/export.md` describes the lines.
    ///
    /// Memory is bounded: at most 500 jobs or 1 MiB of them are held. An export is no snapshot: a job
    /// that moves meanwhile may come twice, which an import notices, or not at all. Pause the queues
    /// before, and wait until no job runs.
    ///
    /// ```no_run
    /// # use std::io::Write;
    /// # use poolder_core::{Error, view::KeptState};
    /// # async fn f(client: poolder_client::Client) -> Result<(), Error> {
    /// let mut file = std::fs::File::create("dead.ndjson").map_err(|why| Error::invalid(why.to_string()))?;
    /// let export = client.export().queue("mail").state(KeptState::Dead);
    /// let sums = export
    ///     .write(|line| writeln!(file, "{line}").map_err(|why| Error::invalid(why.to_string())))
    ///     .await?;
    /// println!("{} jobs, {} left out", sums.jobs, sums.left_out());
    /// # Ok(()) }
    /// ```
    pub fn export(&self) -> Export {
        Export { client: self.clone(), queues: vec![], states: vec![] }
    }
}

impl Export {
    /// Exports this queue, and others only if they are named as well.
    pub fn queue(mut self, queue: impl AsRef<str>) -> Self {
        self.queues.push(queue.as_ref().to_owned());
        self
    }

    /// Exports the jobs of this state, and others only if they are named as well. An export of some
    /// states has no schedules.
    pub fn state(mut self, state: KeptState) -> Self {
        self.states.push(state);
        self
    }

    /// Calls `line` with each line of the export, without a line break. Returns what it holds.
    ///
    /// # Errors
    /// Returns the error of `line`; [`Error::is_invalid`] for an illegal name; [`Error::is_not_found`]
    /// for a queue that was never used. Also returns an error when the server does not answer, and
    /// when a partition cannot be read: the export is not whole then, and its last line is missing.
    pub async fn write(
        self,
        mut line: impl FnMut(&str) -> Result<(), Error> + Send,
    ) -> Result<ExportSums, Error> {
        let broker = self.client.broker();
        let known = broker.queues().await?;
        let named = self.queues.iter().map(QueueName::new).collect::<Result<Vec<_>, _>>()?;
        if let Some(unknown) = named.iter().find(|queue| !known.contains(queue)) {
            return Err(Error::not_found(format!("there is no queue {unknown}")));
        }
        let now = broker.server_now().await?;
        let mut out = Out { line: &mut line, sums: ExportSums::default() };
        out.write(&Line::Export(Head {
            version: VERSION,
            namespace: broker.namespace().to_owned(),
            at: now.millis(),
            program: env!("CARGO_PKG_VERSION").to_owned(),
        }))?;
        for queue in if named.is_empty() { known } else { named } {
            self.queue_of(&queue, now, &mut out).await?;
        }
        let sums = out.sums;
        out.write(&Line::End(sums))?;
        Ok(sums)
    }

    async fn queue_of(
        &self,
        queue: &QueueName,
        now: Timestamp,
        out: &mut Out<'_>,
    ) -> Result<(), Error> {
        let broker = self.client.broker();
        let home = Partition::first(queue.clone());
        let pool = broker.pool_view(queue).await?.filter(|pool| pool.mode != Mode::Shared);
        out.sums.queues += 1;
        out.write(&Line::Queue(QueueLine {
            queue: queue.to_string(),
            paused: broker.commands(&home).await?.paused.map(Timestamp::millis),
            mode: pool.as_ref().map(|pool| pool.mode.as_str().to_owned()),
            size: pool.as_ref().filter(|pool| pool.mode.is_addressed()).map(|pool| pool.size),
        }))?;
        if self.states.is_empty() {
            schedules(broker, &home, out).await?;
        }
        // In the order in which jobs move, so that few of them come twice and fewer are missed.
        let listings = [Listing::Due, Listing::Ready, Listing::Running, Listing::Dead];
        let mut behind = false;
        for listing in listings {
            behind |= self.jobs_of(queue, listing, false, now, out).await?;
        }
        // A job that waits behind another one of its key comes after that one, as it was enqueued.
        if behind {
            self.jobs_of(queue, Listing::Due, true, now, out).await?;
        }
        Ok(())
    }

    /// Writes the jobs of a listing that wait behind another one of their unique key, or those that
    /// do not. Returns whether there were others.
    async fn jobs_of(
        &self,
        queue: &QueueName,
        listing: Listing,
        behind: bool,
        now: Timestamp,
        out: &mut Out<'_>,
    ) -> Result<bool, Error> {
        let state = match listing {
            Listing::Dead => KeptState::Dead,
            Listing::Ready | Listing::Running => KeptState::Ready,
            _ => KeptState::Due,
        };
        if !self.states.is_empty() && !self.states.contains(&state) {
            return Ok(false);
        }
        let broker = self.client.broker();
        let partitions = broker.partitions(queue).await?;
        let mut others = false;
        let mut walk = broker.walk(&partitions, listing, None, None)?.until(now);
        while !walk.is_done() {
            for job in walk.next(STEP).await?.into_iter().filter_map(|passed| passed.job) {
                if job.waits_behind() != behind {
                    others = true;
                    continue;
                }
                let ran = job.state == JobState::Running;
                match KeptJob::of(&job) {
                    Ok(kept) => {
                        out.sums.jobs += 1;
                        out.sums.ran += u64::from(ran);
                        out.write(&Line::Job(Box::new(JobLine::new(&kept, ran))))?;
                    }
                    Err(error) if error.is_too_large() => out.sums.too_large += 1,
                    Err(_) => out.sums.batches += 1,
                }
            }
        }
        match walk.unreachable().first() {
            Some(part) => Err(Error::unknown(format!(
                "the export is not whole: {} could not be read: {}",
                part.partition, part.why
            ))),
            None => Ok(others),
        }
    }
}

#[cfg(feature = "schedules")]
async fn schedules(broker: &Broker, home: &Partition, out: &mut Out<'_>) -> Result<(), Error> {
    let mut cursor = 0;
    loop {
        let (page, next) = broker.schedules(home, cursor).await?;
        for info in page {
            out.sums.schedules += 1;
            let shown = (info.schedule.timing.to_string(), info.status.to_string());
            let stored = Broker::kept_schedule(&info)?;
            let line = super::line::ScheduleLine::new(&home.queue, &info.name, shown, &stored);
            out.write(&Line::Schedule(line))?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}

#[cfg(not(feature = "schedules"))]
async fn schedules(_: &Broker, _: &Partition, _: &mut Out<'_>) -> Result<(), Error> {
    Ok(())
}

/// The lines that are written, and what they hold.
struct Out<'a> {
    line: &'a mut (dyn FnMut(&str) -> Result<(), Error> + Send),
    sums: ExportSums,
}

impl Out<'_> {
    fn write(&mut self, line: &Line) -> Result<(), Error> {
        let text = serde_json::to_string(line);
        let text = text.map_err(|why| Error::codec(format!("a line cannot be written: {why}")))?;
        (self.line)(&text)
    }
}
