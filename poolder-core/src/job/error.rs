//! The one error type of Poolder: opaque and queried by predicates, so that new causes never break
//! a caller.

use std::fmt;

use crate::job::JobId;

/// Any error that a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An error of Poolder itself.
///
/// The type is opaque. [`Error::kind`] and the `is_*` predicates tell its kind, and its text says
/// what to do about it. The text never contains a password.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    job: Option<JobId>,
    source: Option<BoxError>,
}

/// The kind of an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, a number or a setting is not allowed. Nothing was done.
    Invalid,
    /// A payload, an entry or a result is above the size limit. Nothing was stored.
    TooLarge,
    /// A value could not be serialized or deserialized.
    Codec,
    /// The server did not execute the command: the call may be repeated.
    Refused,
    /// A limit on waiting entries is reached: nothing was done, and the call may be repeated when
    /// there is room.
    Full,
    /// The reply was lost: the command may or may not have been executed.
    Unknown,
    /// The server rejected the user or the password, or an access rule forbids the command.
    Auth,
    /// The server or this build lacks a required feature.
    Unsupported,
    /// There is no job, schedule, pool, batcher or entry of this name.
    NotFound,
    /// A job, an entry, a lease or a node has moved on: it has ended, is in another state, or no
    /// longer belongs to the caller.
    Gone,
    /// A reply or a stored value cannot be read: Poolder did not write it.
    Protocol,
    /// A wait timed out; the awaited event may still happen.
    Timeout,
    /// The awaited job died.
    Dead,
    /// The awaited job was cancelled.
    Cancelled,
    /// The awaited job completed without a result.
    NoResult,
}

impl Error {
    /// Creates an error for invalid input: a name, a number or a setting that is not allowed.
    /// Nothing was done.
    #[doc(hidden)]
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Invalid, message)
    }

    /// Creates an error for a payload above the size limit. Nothing was stored.
    #[doc(hidden)]
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::TooLarge, message)
    }

    /// Creates an error for a value that could not be serialized or deserialized, for an own
    /// [`Job::encode`](crate::Job::encode) or [`decode`](crate::Job::decode).
    #[must_use]
    pub fn codec(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Codec, message)
    }

    /// Creates an error for a command that the server did not execute: it may be repeated.
    #[doc(hidden)]
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Refused, message)
    }

    /// Creates an error for a limit on waiting entries that is reached: nothing was done, and the
    /// call may be repeated when there is room.
    #[doc(hidden)]
    #[must_use]
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Full, message)
    }

    /// Creates an error for a lost reply: the command may or may not have been executed.
    #[doc(hidden)]
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unknown, message)
    }

    /// Creates an error for a user or password that the server rejected, or for a command that an
    /// access rule forbids.
    #[doc(hidden)]
    #[must_use]
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Auth, message)
    }

    /// Creates an error for a required feature that the server or this build lacks.
    #[doc(hidden)]
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// Creates an error for a job, a schedule, a pool, a batcher or an entry that does not exist.
    #[doc(hidden)]
    #[must_use]
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// Creates an error for a job, an entry or a lease that has ended, is in another state, or no
    /// longer belongs to the caller.
    #[doc(hidden)]
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Gone, message)
    }

    /// Creates an error for a reply or a stored value that Poolder did not write and cannot read.
    #[doc(hidden)]
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Protocol, message)
    }

    /// Creates an error for a wait that timed out; the awaited event may still happen.
    #[doc(hidden)]
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Timeout, message)
    }

    /// Creates an error for an awaited job that died.
    #[doc(hidden)]
    #[must_use]
    pub fn dead(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Dead, message)
    }

    /// Creates an error for an awaited job that was cancelled.
    #[doc(hidden)]
    #[must_use]
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Cancelled, message)
    }

    /// Creates an error for an awaited job that completed without a result.
    #[doc(hidden)]
    #[must_use]
    pub fn no_result(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NoResult, message)
    }

    /// Adds the id of the job that the error is about.
    #[doc(hidden)]
    #[must_use]
    pub fn with_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// Adds the cause, returned by `source`.
    #[doc(hidden)]
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Copies the error, without its source, for another caller that waited for the same operation.
    #[doc(hidden)]
    #[must_use]
    pub fn repeated(&self) -> Self {
        let Inner { kind, message, job, .. } = &*self.0;
        Self(Box::new(Inner { kind: *kind, message: message.clone(), job: *job, source: None }))
    }

    fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), job: None, source: None }))
    }

    /// Returns the kind of the error.
    #[must_use]
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Returns true for invalid input, a payload above the size limit included: the same call would
    /// fail again.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Invalid | ErrorKind::TooLarge)
    }

    /// Returns true when a payload was above the size limit.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == ErrorKind::TooLarge
    }

    /// Returns true when a value could not be serialized or deserialized.
    #[must_use]
    pub fn is_codec(&self) -> bool {
        self.0.kind == ErrorKind::Codec
    }

    /// Returns true when the server certainly did nothing, so that the call may be repeated.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, ErrorKind::Refused | ErrorKind::Full)
    }

    /// Returns true when a limit on waiting entries is reached. Such an error is also
    /// [refused](Self::is_refused).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == ErrorKind::Full
    }

    /// Returns true when it is unknown whether the server executed the command. [`Error::job_id`]
    /// names the job, so that the caller can look for it; an idempotent enqueue may be repeated.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.kind == ErrorKind::Unknown
    }

    /// Returns true when the credentials or an access rule forbid the call.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.0.kind == ErrorKind::Auth
    }

    /// Returns true when the server is too old, or when the server or this build lacks a feature.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.0.kind == ErrorKind::Unsupported
    }

    /// Returns true when there is no job, schedule, pool, batcher or entry of this name.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.0.kind == ErrorKind::NotFound
    }

    /// Returns true when the job, entry or lease has ended, is in another state, or no longer
    /// belongs to the caller.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.kind == ErrorKind::Gone
    }

    /// Returns true when a reply or a stored value could not be read.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        self.0.kind == ErrorKind::Protocol
    }

    /// Returns true when a wait timed out: the job continues, and its result can still be awaited.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == ErrorKind::Timeout
    }

    /// Returns true when the awaited job died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.kind == ErrorKind::Dead
    }

    /// Returns true when the awaited job was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == ErrorKind::Cancelled
    }

    /// Returns true when the awaited job completed, but returned no result.
    #[must_use]
    pub fn is_no_result(&self) -> bool {
        self.0.kind == ErrorKind::NoResult
    }

    /// Returns the id of the job that the error is about, if any.
    #[must_use]
    pub fn job_id(&self) -> Option<JobId> {
        self.0.job
    }
}

#[cfg(feature = "schedules")]
impl From<poolder_cron::InvalidTiming> for Error {
    fn from(error: poolder_cron::InvalidTiming) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<std::convert::Infallible> for Error {
    fn from(never: std::convert::Infallible) -> Self {
        match never {}
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        match self.0.job {
            Some(job) => write!(f, " (job {job})"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}
