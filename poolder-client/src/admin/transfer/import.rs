//! Storing the content of the lines of an export.

use std::collections::BTreeMap;

use poolder_core::broker::Broker;
use poolder_core::view::KeptJob;
use poolder_core::{Error, ErrorKind, Partition, QueueName};

use super::line::{Head, Line, QueueLine, ScheduleLine, VERSION};
use super::report::ImportReport;
use crate::admin::words::many;
use crate::client::Client;
use crate::state::audit::{Begun, Change};

/// The most bytes of a line: a payload of 1 MiB takes up to four times as many as JSON, and its
/// stored form a third more than it has.
const MAX_LINE: usize = 8 << 20;
/// The most jobs, and the most bytes of jobs, that wait to be stored together.
const MAX_JOBS: usize = 50;
const MAX_BYTES: usize = 1 << 20;

/// An import; made by [`Client::import`].
#[derive(Debug)]
#[must_use = "the last jobs are stored by `finish`"]
pub struct Import {
    client: Client,
    report: ImportReport,
    has_begun: bool,
    has_ended: bool,
    waiting: Vec<KeptJob>,
    bytes: usize,
    /// The queues so far, each with the number of its partitions and the record of its change.
    queues: BTreeMap<QueueName, Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    /// The number of slots of an addressed pool, once they are known.
    slots: Option<u16>,
    begun: Option<Begun>,
}

impl Client {
    /// Returns an import, which stores the lines of an [export](Client::export) one by one. It stores
    /// each job where it was, with its id, its counters and its options; schedules that are not there;
    /// and registers and pauses queues that are not.
    ///
    /// An import can be repeated: what is there already, or was imported within the last 7 days, is
    /// left out. So one that has failed, or whose file was cut off, is run again from the beginning.
    ///
    /// ```no_run
    /// # use poolder_core::Error;
    /// # async fn f(client: poolder_client::Client, text: &str) -> Result<(), Error> {
    /// let mut import = client.import();
    /// for line in text.lines() {
    ///     import.line(line).await?;
    /// }
    /// let report = import.finish().await?;
    /// println!("{} of {} jobs were stored", report.stored, report.jobs);
    /// # Ok(()) }
    /// ```
    pub fn import(&self) -> Import {
        Import {
            client: self.clone(),
            report: ImportReport::default(),
            has_begun: false,
            has_ended: false,
            waiting: vec![],
            bytes: 0,
            queues: BTreeMap::new(),
        }
    }
}

impl Import {
    /// Lets the import check the lines, and store nothing. It asks no server.
    pub fn dry_run(mut self) -> Self {
        self.report.dry_run = true;
        self
    }

    /// Takes in the next line. Its content is stored by the end of [`Import::finish`] at the latest.
    /// An empty line means nothing.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for a line that cannot be understood, with its number: lines before it
    /// may have been stored. Also returns an error when the server does not answer or refuses a
    /// command.
    pub async fn line(&mut self, text: &str) -> Result<(), Error> {
        self.report.lines += 1;
        if text.trim().is_empty() {
            return Ok(());
        }
        let read = match text.len() > MAX_LINE {
            true => Err(Error::too_large(format!("it has more than {MAX_LINE} bytes"))),
            false => serde_json::from_str(text)
                .map_err(|why| Error::invalid(format!("it is no line of an export: {why}"))),
        };
        let taken = match read {
            Ok(line) => self.take(line).await,
            Err(error) => Err(error),
        };
        let number = self.report.lines;
        taken.map_err(|error| at_line(number, error))
    }

    /// Takes in what stands behind the last line break of a file. It is a line, or the beginning of
    /// one that was cut off, which is left out: [`ImportReport::is_cut`] says so.
    ///
    /// # Errors
    /// As [`Import::line`].
    pub async fn rest(&mut self, text: &str) -> Result<(), Error> {
        let is_whole =
            text.trim().is_empty() || serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok();
        if is_whole { self.line(text).await } else { Ok(()) }
    }

    /// Stores the jobs of the last lines. Returns what was stored.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when there was no line of an export at all; also returns an error when
    /// the server does not answer or refuses a command.
    pub async fn finish(mut self) -> Result<ImportReport, Error> {
        if !self.has_begun {
            return Err(Error::invalid("there is no line of an export"));
        }
        let flushed = self.flush().await;
        let failed = flushed.as_ref().err().map(Error::repeated);
        for begun in std::mem::take(&mut self.queues).into_values().filter_map(|queue| queue.begun)
        {
            let made = failed.as_ref().map_or(Ok(()), |error| Err(error.repeated()));
            // The error is that of the jobs, which is returned below.
            let _ = begun.end(made).await;
        }
        flushed?;
        self.report.is_cut = !self.has_ended;
        Ok(self.report)
    }

    async fn take(&mut self, line: Line) -> Result<(), Error> {
        if let Line::Export(head) = line {
            return self.begin(&head);
        }
        if !self.has_begun {
            let text = "the first line of an export says its version, and is missing";
            return Err(Error::invalid(text));
        }
        if self.has_ended {
            return Err(Error::invalid("it stands behind the last line of the export"));
        }
        match line {
            Line::Export(_) => Ok(()),
            Line::Queue(line) => self.queue(&line).await,
            Line::Schedule(line) => self.schedule(&line).await,
            Line::Job(line) => {
                let job = line.job()?;
                self.report.jobs += 1;
                self.job(job).await
            }
            Line::End(_) => {
                self.has_ended = true;
                Ok(())
            }
        }
    }

    fn begin(&mut self, head: &Head) -> Result<(), Error> {
        if head.version == 0 || head.version > VERSION {
            let text = format!(
                "the export has version {}, of which this program knows up to {VERSION}",
                head.version
            );
            return Err(Error::invalid(text));
        }
        if self.has_begun && !self.has_ended {
            return Err(Error::invalid("another export begins before the end of this one"));
        }
        (self.has_begun, self.has_ended) = (true, false);
        Ok(())
    }

    async fn queue(&mut self, line: &QueueLine) -> Result<(), Error> {
        let queue = QueueName::new(&line.queue)?;
        let mode = line.mode.as_deref().map(str::parse).transpose()?;
        self.begun(&queue).await?;
        if self.report.dry_run {
            return Ok(());
        }
        if let Some(mode) = mode {
            let size = line.size.unwrap_or(1).max(1);
            self.client.broker().define_pool(&queue, mode, size).await?;
        }
        // Before the jobs, so that none of them starts.
        if line.paused.is_some() {
            self.client.pause(&queue).await?;
        }
        Ok(())
    }

    async fn schedule(&mut self, line: &ScheduleLine) -> Result<(), Error> {
        let queue = QueueName::new(&line.queue)?;
        let stored = line.stored()?;
        check_schedule(&line.name, &stored)?;
        self.begun(&queue).await?;
        self.report.schedules += 1;
        if !self.report.dry_run {
            let home = Partition::first(queue.clone());
            let is_new = import_schedule(self.client.broker(), &home, &line.name, &stored).await?;
            self.report.schedules_stored += u64::from(is_new);
            self.note(&queue, u64::from(is_new));
        }
        Ok(())
    }

    async fn job(&mut self, job: KeptJob) -> Result<(), Error> {
        self.begun(&job.partition.queue).await?;
        if self.report.dry_run {
            return Ok(());
        }
        self.check_slot(&job.partition).await?;
        let is_other = self.waiting.last().is_some_and(|last| last.partition != job.partition);
        if is_other || self.waiting.len() >= MAX_JOBS || self.bytes + job.body().len() > MAX_BYTES {
            self.flush().await?;
        }
        self.bytes += job.body().len();
        self.waiting.push(job);
        Ok(())
    }

    /// Checks that a slot is one of the pool, so that a job is not stored where no node looks.
    async fn check_slot(&mut self, partition: &Partition) -> Result<(), Error> {
        let Partition { queue, index } = partition;
        let known = self.queues.get(queue).and_then(|queue| queue.slots);
        if *index == 0 || known.is_some_and(|slots| *index < slots) {
            return Ok(());
        }
        let pool = self.client.broker().pool_view(queue).await?;
        let slots = pool.filter(|pool| pool.mode.is_addressed()).map_or(0, |pool| pool.top);
        if *index >= slots {
            let what = match slots {
                0 => format!(
                    "queue {queue} has no addressed slots here: start a node that serves it"
                ),
                _ => {
                    let slots = many(slots.into(), "slot");
                    format!("pool {queue} has {slots} here: resize it first")
                }
            };
            return Err(Error::invalid(format!("the job belongs to slot {index}, and {what}")));
        }
        if let Some(queue) = self.queues.get_mut(queue) {
            queue.slots = Some(slots);
        }
        Ok(())
    }

    /// Notes that a queue is imported, and records it when it comes first.
    async fn begun(&mut self, queue: &QueueName) -> Result<(), Error> {
        if self.queues.contains_key(queue) {
            return Ok(());
        }
        self.report.queues += 1;
        let mut known = Queue::default();
        if !self.report.dry_run {
            self.client.broker().register_queue(&Partition::first(queue.clone())).await?;
            known.begun =
                Some(self.client.auditor().begin(Change::new("queue.import", queue)).await);
        }
        self.queues.insert(queue.clone(), known);
        Ok(())
    }

    /// Stores the jobs that wait.
    async fn flush(&mut self) -> Result<(), Error> {
        let Some(partition) = self.waiting.first().map(|job| job.partition.clone()) else {
            return Ok(());
        };
        let outcomes = self.client.broker().import(&partition, &self.waiting).await?;
        let before = self.report.stored;
        outcomes.into_iter().for_each(|outcome| self.report.count(outcome));
        self.note(&partition.queue, self.report.stored - before);
        self.waiting.clear();
        self.bytes = 0;
        Ok(())
    }

    fn note(&self, queue: &QueueName, stored: u64) {
        if let Some(begun) = self.queues.get(queue).and_then(|queue| queue.begun.as_ref()) {
            begun.add(stored);
        }
    }
}

/// Adds the number of the line to an error about what it says.
fn at_line(number: u64, error: Error) -> Error {
    let text = format!("line {number}: {error}");
    match error.kind() {
        ErrorKind::TooLarge => Error::too_large(text),
        ErrorKind::Invalid | ErrorKind::Codec => Error::invalid(text),
        _ => error,
    }
}

#[cfg(feature = "schedules")]
fn check_schedule(name: &str, stored: &[u8]) -> Result<(), Error> {
    poolder_core::check_schedule_name(name)?;
    Broker::check_kept_schedule(stored)
}

#[cfg(feature = "schedules")]
async fn import_schedule(
    broker: &Broker,
    home: &Partition,
    name: &str,
    stored: &[u8],
) -> Result<bool, Error> {
    broker.import_schedule(home, name, stored).await
}

#[cfg(not(feature = "schedules"))]
fn check_schedule(_: &str, _: &[u8]) -> Result<(), Error> {
    Err(Error::unsupported("schedules are imported by programs with the feature schedules"))
}

#[cfg(not(feature = "schedules"))]
async fn import_schedule(_: &Broker, _: &Partition, _: &str, _: &[u8]) -> Result<bool, Error> {
    Ok(false)
}
