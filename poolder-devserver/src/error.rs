//! The error type of this crate.

use std::fmt;

/// The reason why a server was not found, did not start, or did not execute a command.
///
/// The text is meant for the person at the terminal and says what to do.
#[derive(Clone)]
pub struct Error {
    kind: Kind,
    text: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    NotFound,
    Refused,
    Reply,
    Failed,
}

impl Error {
    pub(crate) fn not_found(text: impl Into<String>) -> Self {
        Self { kind: Kind::NotFound, text: text.into() }
    }

    pub(crate) fn refused(text: impl Into<String>) -> Self {
        Self { kind: Kind::Refused, text: text.into() }
    }

    pub(crate) fn reply(text: impl Into<String>) -> Self {
        Self { kind: Kind::Reply, text: text.into() }
    }

    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self { kind: Kind::Failed, text: text.into() }
    }

    /// Returns true when no server program was found, and none was or could be installed.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// Returns true when the environment names a server that tests may not use without permission.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// Returns true when the server answered a command with an error.
    #[must_use]
    pub fn is_reply(&self) -> bool {
        self.kind == Kind::Reply
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Same text as `Display`, so that a test that unwraps shows the advice with its line breaks.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
