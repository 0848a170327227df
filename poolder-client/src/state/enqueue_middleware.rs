//! Middleware of a client: it sees each job before the job is sent, adds headers to it, or refuses
//! it.

use std::fmt;
use std::sync::Arc;

use poolder_core::broker::When;
use poolder_core::{BoxError, Envelope, Error, Headers, JobId, Lane, Policy, QueueName};

/// Sees each job that a client sends, before anything is sent: it adds headers, or refuses the job.
///
/// Added with [`Client::middleware`](crate::Client::middleware). It runs in the thread of the
/// caller, once per job, when an enqueue, a call, a cast or a schedule is awaited or prepared, so
/// it must be quick and cannot wait: it adds data that the process has already, and sends no
/// requests.
///
/// A function is middleware as well:
///
/// ```no_run
/// # use poolder_client::{Client, Outgoing};
/// # fn f(client: Client) -> Client {
/// client.middleware(|job: &mut Outgoing<'_>| {
///     if job.payload_len() > 10_000 {
///         return Err("put large data into a file store".into());
///     }
///     job.headers_mut().insert("service", "checkout");
///     Ok(())
/// })
/// # }
/// ```
pub trait EnqueueMiddleware: Send + Sync + 'static {
    /// Looks at a job, and adds or changes headers.
    ///
    /// # Errors
    /// An error refuses the job: nothing is sent, and the caller gets
    /// [`Error::is_invalid`](poolder_core::Error::is_invalid) with the text.
    fn on_enqueue(&self, job: &mut Outgoing<'_>) -> Result<(), BoxError>;
}

impl<F> EnqueueMiddleware for F
where
    F: Fn(&mut Outgoing<'_>) -> Result<(), BoxError> + Send + Sync + 'static,
{
    fn on_enqueue(&self, job: &mut Outgoing<'_>) -> Result<(), BoxError> {
        self(job)
    }
}

/// A job that is about to be sent, as [`EnqueueMiddleware`] sees it.
#[derive(Debug)]
pub struct Outgoing<'a> {
    pub(crate) envelope: &'a Envelope,
    pub(crate) queue: &'a QueueName,
    pub(crate) lane: Lane,
    pub(crate) when: When,
    pub(crate) schedule: Option<&'a str>,
    pub(crate) headers: Headers,
}

impl Outgoing<'_> {
    /// Returns the id of the job. The jobs of a schedule get ids of their own.
    #[must_use]
    pub fn id(&self) -> JobId {
        self.envelope.id()
    }

    /// Returns the kind of the job.
    #[must_use]
    pub fn kind(&self) -> &str {
        self.envelope.kind()
    }

    /// Returns the name of the queue.
    #[must_use]
    pub fn queue(&self) -> &str {
        self.queue.as_str()
    }

    /// Returns the lane in which the job will wait.
    #[must_use]
    pub fn lane(&self) -> Lane {
        self.lane
    }

    /// Returns the time at which the job is to be ready.
    #[must_use]
    pub fn when(&self) -> When {
        self.when
    }

    /// Returns the name of the schedule whose ticks enqueue the job; `None` for a job that is sent
    /// once.
    #[must_use]
    pub fn schedule(&self) -> Option<&str> {
        self.schedule
    }

    /// Returns true when the caller waits for a reply.
    #[must_use]
    pub fn is_call(&self) -> bool {
        self.envelope.is_call()
    }

    /// Returns the policy that is sent with the job; `None` when that of the pool holds.
    #[must_use]
    pub fn policy(&self) -> Option<Policy> {
        self.envelope.own_policy()
    }

    /// Returns the size of the serialized payload in bytes.
    #[must_use]
    pub fn payload_len(&self) -> usize {
        self.envelope.payload_len()
    }

    /// Returns the headers: those of the caller, and those of the middleware before.
    #[must_use]
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// Returns the headers to change. They are checked after the last middleware.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }
}

/// The middleware of a client, in the order in which it was added.
#[derive(Clone, Default)]
pub(crate) struct EnqueueChain(Vec<Arc<dyn EnqueueMiddleware>>);

impl EnqueueChain {
    /// Returns true when there is no middleware.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds a middleware at the end.
    pub(crate) fn push(&mut self, middleware: impl EnqueueMiddleware) {
        self.0.push(Arc::new(middleware));
    }

    /// Passes a job through the middleware, and returns it with its headers; `None` when it has them
    /// already, as a job without headers does.
    ///
    /// # Errors
    /// [`Error::is_invalid`] when a middleware refuses the job, or for headers that are not allowed.
    pub(crate) fn pass(&self, mut job: Outgoing<'_>) -> Result<Option<Envelope>, Error> {
        for middleware in &self.0 {
            middleware.on_enqueue(&mut job).map_err(|why| {
                let (kind, id) = (job.kind(), job.id());
                Error::invalid(format!("a middleware refuses the job of kind {kind:?}: {why}"))
                    .with_job(id)
            })?;
        }
        if job.headers == *job.envelope.headers() {
            return Ok(None);
        }
        job.envelope.with_headers(&job.headers).map(Some)
    }
}

impl fmt::Debug for EnqueueChain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("EnqueueChain").field(&self.0.len()).finish()
    }
}
