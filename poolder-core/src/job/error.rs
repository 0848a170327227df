//! The one error of Poolder: opaque, asked through predicates, so that new causes never break a caller.

use std::fmt;

use crate::job::JobId;

/// Any error a user's code may return from a handler.
pub type BoxError = Box<dyn std::error::Error + Send + Sync + 'static>;

/// What went wrong in Poolder itself.
///
/// The type is opaque: ask it with the `is_*` predicates, print it for a sentence that says what
/// to do. Its text never holds a password.
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
    /// Bad input: a name, a number or a setting that cannot be; nothing was done.
    #[must_use]
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// A payload above the cap; nothing was stored.
    #[must_use]
    pub fn too_large(message: impl Into<String>) -> Self {
        Self::new(Kind::TooLarge, message)
    }

    /// A value that could not be serialized or read back.
    #[must_use]
    pub fn codec(message: impl Into<String>) -> Self {
        Self::new(Kind::Codec, message)
    }

    /// The server did not execute the command: it may be repeated freely.
    #[must_use]
    pub fn refused(message: impl Into<String>) -> Self {
        Self::new(Kind::Refused, message)
    }

    /// As much waits as may: nothing was done, and it may be repeated when there is room.
    #[must_use]
    pub fn full(message: impl Into<String>) -> Self {
        Self::new(Kind::Full, message)
    }

    /// The reply was lost: the command may or may not have been executed.
    #[must_use]
    pub fn unknown(message: impl Into<String>) -> Self {
        Self::new(Kind::Unknown, message)
    }

    /// The server turned the user or password down, or a rule forbids the command.
    #[must_use]
    pub fn auth(message: impl Into<String>) -> Self {
        Self::new(Kind::Auth, message)
    }

    /// The server lacks something that is needed.
    #[must_use]
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(Kind::Unsupported, message)
    }

    /// What was asked for is no longer there, or no longer ours.
    #[must_use]
    pub fn gone(message: impl Into<String>) -> Self {
        Self::new(Kind::Gone, message)
    }

    /// A reply or a stored value that Poolder did not write and cannot read.
    #[must_use]
    pub fn protocol(message: impl Into<String>) -> Self {
        Self::new(Kind::Protocol, message)
    }

    /// The time to wait for something was up; it may still happen.
    #[must_use]
    pub fn timeout(message: impl Into<String>) -> Self {
        Self::new(Kind::Timeout, message)
    }

    /// The job that was waited for died.
    #[must_use]
    pub fn dead(message: impl Into<String>) -> Self {
        Self::new(Kind::Dead, message)
    }

    /// The job that was waited for was cancelled.
    #[must_use]
    pub fn cancelled(message: impl Into<String>) -> Self {
        Self::new(Kind::Cancelled, message)
    }

    /// The job that was waited for is done, without a result.
    #[must_use]
    pub fn no_result(message: impl Into<String>) -> Self {
        Self::new(Kind::NoResult, message)
    }

    /// Names the job that the error is about.
    #[must_use]
    pub fn with_job(mut self, job: JobId) -> Self {
        self.0.job = Some(job);
        self
    }

    /// Keeps the cause.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// The same for somebody else who waited for it, without its source.
    #[must_use]
    pub fn repeated(&self) -> Self {
        let Inner { kind, message, job, .. } = &*self.0;
        Self(Box::new(Inner { kind: *kind, message: message.clone(), job: *job, source: None }))
    }

    fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), job: None, source: None }))
    }

    /// True for bad input, which repeating cannot help.
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        matches!(self.0.kind, Kind::Invalid | Kind::TooLarge)
    }

    /// True when a payload was above the cap.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.0.kind == Kind::TooLarge
    }

    /// True when a value could not be serialized or deserialized.
    #[must_use]
    pub fn is_codec(&self) -> bool {
        self.0.kind == Kind::Codec
    }

    /// True when the server certainly did nothing, so that the call may be repeated.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.0.kind, Kind::Refused | Kind::Full)
    }

    /// True when as much waits as may. It is also [refused](Self::is_refused).
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.0.kind == Kind::Full
    }

    /// True when nobody can say whether the server acted. [`Error::job_id`] names the job, so
    /// that it can be looked for; an idempotent enqueue may simply be repeated.
    #[must_use]
    pub fn is_unknown(&self) -> bool {
        self.0.kind == Kind::Unknown
    }

    /// True when credentials or access rules are in the way.
    #[must_use]
    pub fn is_auth(&self) -> bool {
        self.0.kind == Kind::Auth
    }

    /// True when the server is too old or lacks a command.
    #[must_use]
    pub fn is_unsupported(&self) -> bool {
        self.0.kind == Kind::Unsupported
    }

    /// True when the thing asked for does not exist any more.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.0.kind == Kind::Gone
    }

    /// True when a reply or stored value was not understood.
    #[must_use]
    pub fn is_protocol(&self) -> bool {
        self.0.kind == Kind::Protocol
    }

    /// True when the time to wait was up: the job goes on, and its result can still be had.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0.kind == Kind::Timeout
    }

    /// True when the job that was waited for died.
    #[must_use]
    pub fn is_dead(&self) -> bool {
        self.0.kind == Kind::Dead
    }

    /// True when the job that was waited for was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        self.0.kind == Kind::Cancelled
    }

    /// True when the job that was waited for is done, but returned no result.
    #[must_use]
    pub fn is_no_result(&self) -> bool {
        self.0.kind == Kind::NoResult
    }

    /// The job that the error is about, where there is one.
    #[must_use]
    pub fn job_id(&self) -> Option<JobId> {
        self.0.job
    }
}

impl From<poolder_cron::Invalid> for Error {
    fn from(why: poolder_cron::Invalid) -> Self {
        Self::invalid(why.to_string())
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
