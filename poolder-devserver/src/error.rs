//! The one error of this crate.

use std::fmt;

/// Why there is no server, or why it did not do what was asked.
///
/// The text is meant for the person at the terminal: it says what to do.
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

    /// No server program was found, and none was or could be installed.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.kind == Kind::NotFound
    }

    /// The environment names a server that tests may not touch unasked.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        self.kind == Kind::Refused
    }

    /// The server answered a command with an error.
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

/// The same as `Display`: a test that unwraps shows the advice with its line breaks.
impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for Error {}
