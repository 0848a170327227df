//! How jobs ended, for those who wait: a record that is kept for a while, and a hint when it is
//! written. The hint goes over a channel of the record's own name, so that only those who wait for
//! this job hear of it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Mutex, PoisonError};

use futures_util::StreamExt;
use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{Error, JobId, Partition};
use crate::stored::{Completion, read_dead};

impl Broker {
    /// The connection for hints has no time limit of its own.
    async fn in_time<T>(
        &self,
        reply: impl Future<Output = redis::RedisResult<T>>,
    ) -> Result<T, Error> {
        let longest = self.inner.config.longest_reply();
        match tokio::time::timeout(longest, reply).await {
            Ok(reply) => reply.map_err(|error| self.classify(error)),
            Err(_) => Err(Error::unknown(format!("no reply from Redis within {longest:?}"))),
        }
    }

    /// How a job ended, if it did and a record was kept: of every job that returned a result, and
    /// of every end of a job whose enqueue asked for it.
    ///
    /// # Errors
    /// Whatever keeps the server from answering, or a record that cannot be read.
    pub async fn completion(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<Completion>, Error> {
        let mut cmd = redis::cmd("GET");
        cmd.arg(self.keys(partition).result(job));
        match self.command(&cmd).await? {
            Value::Nil => Ok(None),
            record => Completion::decode(&reply::bytes(record)?).map(Some),
        }
    }

    /// The end of a job that is among the dead, whether a record was kept or not.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn death(
        &self,
        partition: &Partition,
        job: JobId,
    ) -> Result<Option<Completion>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(partition).dead_bodies).arg(job.as_bytes());
        match self.command(&cmd).await? {
            Value::Nil => Ok(None),
            record => Ok(Some(Completion::Dead(read_dead(reply::bytes(record)?).death.failure))),
        }
    }

    /// Opens a connection on which hints about ends are heard.
    ///
    /// # Errors
    /// When no connection can be had, or the server does not permit it.
    pub async fn listen_completions(&self) -> Result<CompletionListener, Error> {
        // Every node of a cluster passes messages on.
        let peer = self.inner.route.peer(None).await.map_err(|error| self.classify(error))?;
        let pubsub = self.in_time(peer.client.get_async_pubsub()).await?;
        let (sink, messages) = pubsub.split();
        Ok(CompletionListener {
            broker: self.clone(),
            sink,
            messages: tokio::sync::Mutex::new(messages),
            channels: Mutex::default(),
        })
    }
}

/// A connection that hears when jobs end.
pub struct CompletionListener {
    broker: Broker,
    sink: redis::aio::PubSubSink,
    messages: tokio::sync::Mutex<redis::aio::PubSubStream>,
    channels: Mutex<HashMap<String, JobId>>,
}

impl CompletionListener {
    /// Listens for the end of a job, from when this returns.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn add(&self, partition: &Partition, job: JobId) -> Result<(), Error> {
        let channel = self.broker.keys(partition).result(job);
        self.known().insert(channel.clone(), job);
        let mut sink = self.sink.clone();
        self.broker.in_time(sink.subscribe(&channel)).await
    }

    /// Listens for it no longer.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn remove(&self, partition: &Partition, job: JobId) -> Result<(), Error> {
        let channel = self.broker.keys(partition).result(job);
        self.known().remove(&channel);
        let mut sink = self.sink.clone();
        self.broker.in_time(sink.unsubscribe(&channel)).await
    }

    /// The next job that ended; `None` when the connection is gone.
    pub async fn next(&self) -> Option<JobId> {
        let mut messages = self.messages.lock().await;
        loop {
            let message = messages.next().await?;
            if let Some(job) = self.known().get(message.get_channel_name()) {
                return Some(*job);
            }
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, HashMap<String, JobId>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for CompletionListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EndListener").field("jobs", &self.known().len()).finish_non_exhaustive()
    }
}
