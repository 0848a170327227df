//! Completion records for callers that wait for a job to end: the record is kept for a while, and a
//! hint announces that it was written. The hint uses a channel with the name of the record, so that
//! only callers that wait for this job receive it.

use std::collections::HashMap;
use std::future::Future;

use futures_util::StreamExt;

use crate::broker::Broker;
use crate::broker::jobs::value::{SHOWN, read_value, value_call};
#[cfg(feature = "testing")]
use crate::job::Handle;
use crate::job::{Error, JobId, MAX_STORED, Partition};
use crate::stored::{Completion, read_dead};

/// The most moves of a job that are followed: one a resize.
const MAX_MOVES: usize = 32;

impl Broker {
    /// Waits for a reply for at most `response_timeout`, since the connection for hints has no time
    /// limit.
    pub(in crate::broker) async fn in_time<T>(
        &self,
        reply: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Error> {
        let longest = self.inner.config.longest_reply();
        match tokio::time::timeout(longest, reply).await {
            Ok(reply) => reply.map_err(|error| self.classify(error)),
            Err(_) => Err(Error::unknown(format!("no reply from Redis within {longest:?}"))),
        }
    }

    /// Returns the completion record of a job, `None` when the job has not ended or no record is
    /// kept. A record is kept for every job that returned a result, and for any completion of a job
    /// whose enqueue asked for it.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command, or the record
    /// cannot be read; [`Error::is_too_large`] for a record that is larger than any that Poolder
    /// writes.
    pub async fn completion(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<Completion>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.completion(job));
        }
        let cmd = value_call(&self.keys(partition).result(job), &[], MAX_STORED);
        let Some(value) = read_value(self.command(&cmd).await?)? else { return Ok(None) };
        if !value.is_whole() {
            return Err(Error::too_large(format!(
                "the completion record has {} bytes, the most is {MAX_STORED}: another program has \
                 written it, so delete it",
                value.bytes
            )));
        }
        Completion::decode(&value.read).map(Some)
    }

    /// Returns the partition in which the end of a job is recorded, and the completion record there,
    /// if there is one. A job of an addressed pool may have been moved to another slot. The records
    /// of a job that has moved back and not ended since form a circle; the partition is then one of
    /// the circle, and the same one when the search begins there.
    ///
    /// # Errors
    /// As [`Broker::completion`].
    pub async fn followed_completion(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<(Partition, Option<Completion>), Error> {
        let (mut at, mut left) = (partition.clone(), vec![]);
        while left.len() < MAX_MOVES && !left.contains(&at.index) {
            match self.completion(&at, job).await? {
                Some(Completion::Moved(slot)) => left.push(std::mem::replace(&mut at.index, slot)),
                completion => return Ok((at, completion)),
            }
        }
        Ok((at, None))
    }

    /// Returns the completion of a dead job, whether or not a completion record was kept; `None`
    /// when the job is not among the dead.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn death(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<Completion>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            return Ok(captured.death(&Handle { partition: partition.clone(), job, place: None }));
        }
        // The reason is at the beginning of the record.
        let cmd = value_call(&self.keys(partition).dead_bodies, job.as_bytes(), SHOWN);
        let record = read_value(self.command(&cmd).await?)?;
        Ok(record.map(|record| Completion::Dead(read_dead(record.read).death.failure)))
    }

    /// Opens a connection that receives hints about ended jobs.
    ///
    /// # Errors
    /// Returns an error when no connection opens, or the server refuses it.
    pub async fn listen_completions(&self) -> Result<CompletionListener, Error> {
        self.needs_server()?;
        // Every node of a cluster forwards messages to the others.
        let peer = self.inner.route.peer(None, &mut self.inner.limit()).await;
        let peer = peer.map_err(|error| self.classify(error))?;
        let pubsub = self.in_time(peer.opener.client().get_async_pubsub()).await?;
        let (sink, messages) = pubsub.split();
        Ok(CompletionListener { broker: self.clone(), sink, messages, channels: HashMap::new() })
    }
}

/// A connection that receives a hint when one of the watched jobs ends.
pub struct CompletionListener {
    broker: Broker,
    sink: redis::aio::PubSubSink,
    messages: redis::aio::PubSubStream,
    channels: HashMap<String, (Partition, JobId)>,
}

/// The maximum number of channels in one command.
const MAX_CHANNELS: usize = 500;

impl CompletionListener {
    /// Subscribes to the hints of jobs. The hints are received from the time this method returns.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn add(&mut self, jobs: &[(Partition, JobId)]) -> Result<(), Error> {
        for jobs in jobs.chunks(MAX_CHANNELS) {
            let channels = self.channels_of(jobs);
            let with_jobs = channels.iter().cloned().zip(jobs.iter().cloned());
            self.channels.extend(with_jobs);
            self.broker.in_time(self.sink.subscribe(&channels)).await?;
        }
        Ok(())
    }

    /// Ends the subscriptions to the hints of jobs.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn remove(&mut self, jobs: &[(Partition, JobId)]) -> Result<(), Error> {
        for jobs in jobs.chunks(MAX_CHANNELS) {
            let channels = self.channels_of(jobs);
            channels.iter().for_each(|channel| _ = self.channels.remove(channel));
            self.broker.in_time(self.sink.unsubscribe(&channels)).await?;
        }
        Ok(())
    }

    /// Waits for the next hint. Returns the job that ended and its partition, `None` when the
    /// connection has closed.
    pub async fn next(&mut self) -> Option<(Partition, JobId)> {
        loop {
            let message = self.messages.next().await?;
            if let Some(job) = self.channels.get(message.get_channel_name()) {
                return Some(job.clone());
            }
        }
    }

    fn channels_of(&self, jobs: &[(Partition, JobId)]) -> Vec<String> {
        jobs.iter().map(|(partition, job)| self.broker.keys(partition).result(*job)).collect()
    }
}

impl std::fmt::Debug for CompletionListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CompletionListener")
            .field("jobs", &self.channels.len())
            .finish_non_exhaustive()
    }
}
