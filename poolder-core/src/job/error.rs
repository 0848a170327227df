//! The one error type of Poolder: opaque and queried by predicates, so that new causes never break
//! a caller.

use std::fmt;

use crate::job::JobId;

/// Any error that a handler may return.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// An error of Poolder itself.
///
/// The type is opaque. The `is_*` predicates tell its kind, and its text says what to do about it.
/// The text never contains a password.
pub struct Error(Box<Inner>);

struct Inner {
    kind: Kind,
    message: String,
    job: Option<JobId>,
    source: Option<BoxError>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Invalid,
    TooLarge,
    Codec,
    Refused,
    Full,
    Unknown,
    Auth,
    Unsupported,
    Gone,
    Protocol,
    Timeout,
    Dead,
    Cancelled,
    NoResult,
}

impl Error {
    /// Creates an error for invalid input: a name, a number or a setting that is not allowed.
    /// Nothing was done.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// Creates an error for a payload above the size limit. Nothing was stored.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// Creates an error for a value that could not be serialized or deserialized.
    #[must_use]
    pub fn codec(message: impl Into<String>) -> Self {
        Self::new(Kind::Codec, message)
    }

    /// Creates an error for a command that the server did not execute: it may be repeated.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// Creates an error for a limit on waiting entries that is reached: nothing was done, and the
    /// call may be repeated when there is room.
    #[must_use]
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(Kind::Full, message)
    }

    /// Creates an error for a lost reply: the command may or may not have been executed.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, message)
    }

    /// Creates an error for a user or password that the server rejected, or for a command that an
    /// access rule forbids.
    #[must_use]
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(Kind::Auth, message)
    }

    /// Creates an error for a required feature that the server or this build lacks.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// Creates an error for a job, an entry or a lease that no longer exists, or no longer belongs
    /// to the caller.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(Kind::Gone, message)
    }

    /// Creates an error for a reply or a stored value that Poolder did not write and cannot read.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(Kind::Protocol, message)
    }

    /// Creates an error for a wait that timed out; the awaited event may still happen.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// Creates an error for an awaited job that died.
    #[must_use]
    pub fn dead(message: impl Into<String>) -> Self {
        Self::new(Kind::Dead, message)
    }

    /// Creates an error for an awaited job that was cancelled.
    #[must_use]
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Kind::Cancelled, message)
    }

    /// Creates an error for an awaited job that completed without a result.
    #[must_use]
    pub fn no_result(message: impl Into<String>) -> Self {
        Self::new(Kind::NoResult, message)
    }

    /// Adds the id of the job that the error is about.
    #[must_use]
    pub fn with_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// Adds the cause, returned by `source`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Copies the error, without its source, for another caller that waited for the same operation.
    #[must_use]
    pub fn repeated(&self) -> Self {
        let Inner { kind, message, job, .. } = &*self.0;
        Self(Box::new(Inner { kind: *kind, message: message.clone(), job: *job, source: None }))
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), job: None, source: None }))
    }

    /// Returns true for invalid input, a payload above the size limit included: the same call would
    /// fail again.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, Kind::Invalid | Kind::TooLarge)
    }

    /// Returns true when a payload was above the size limit.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }

    /// Returns true when a value could not be serialized or deserialized.
    #[must_use]
    pub fn is_codec(&self) -> bool {
        self.0.kind == Kind::Codec
    }

    /// Returns true when the server certainly did nothing, so that the call may be repeated.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, Kind::Refused | Kind::Full)
    }

    /// Returns true when a limit on waiting entries is reached. Such an error is also
    /// [refused](Self::is_refused).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// Returns true when it is unknown whether the server executed the command. [`Error::job_id`]
    /// names the job, so that the caller can look for it; an idempotent enqueue may be repeated.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.kind == Kind::Unknown
    }

    /// Returns true when the credentials or an access rule forbid the call.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.0.kind == Kind::Auth
    }

    /// Returns true when the server is too old, or when the server or this build lacks a feature.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.0.kind == Kind::Unsupported
    }

    /// Returns true when the job, entry or lease no longer exists, or no longer belongs to the
    /// caller.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.kind == Kind::Gone
    }

    /// Returns true when a reply or a stored value could not be read.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        self.0.kind == Kind::Protocol
    }

    /// Returns true when a wait timed out: the job continues, and its result can still be awaited.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// Returns true when the awaited job died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.kind == Kind::Dead
    }

    /// Returns true when the awaited job was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == Kind::Cancelled
    }

    /// Returns true when the awaited job completed, but returned no result.
    #[must_use]
    pub fn is_no_result(&self) -> bool {
        self.0.kind == Kind::NoResult
    }

    /// Returns the id of the job that the error is about, if any.
    #[must_use]
    pub fn job_id(&self) -> Option<JobId> {
        self.0.job
    }
}

#[cfg(feature = "schedules")]
impl From<poolder_cron::Invalid> for Error {
    fn from(error: poolder_cron::Invalid) -> Self {
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
