//! Failures of a command: the exit code, one line that says what went wrong, and one that says what
//! to do.

use std::fmt;

use poolder_core::{Error, ErrorKind};

/// The exit codes of the program. `docs/command.md` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Exit {
    /// The command has done its work.
    Done = 0,
    /// The command failed for a reason that has no code of its own.
    Failed = 1,
    /// An argument, a name or a payload is not allowed.
    NotUnderstood = 2,
    /// There is no job, queue, schedule, batcher, pool or node of this name.
    NotFound = 3,
    /// The server cannot be reached, or does not permit the command.
    Unreachable = 4,
    /// The command needs a confirmation that it was not given.
    Refused = 5,
    /// The command works, and what it has checked is not as it should be.
    CheckFailed = 6,
    /// The time of `--timeout` was over.
    TimedOut = 7,
    /// The user has interrupted the command.
    Interrupted = 130,
}

/// The reason why a command ends early.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) exit: Exit,
    message: String,
    hint: Option<String>,
}

impl Failure {
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None }
    }

    /// Adds a line that says what to do. An earlier one is replaced.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a line that says what to do about something that does not exist.
    pub(crate) fn if_not_found(self, hint: impl Into<String>) -> Self {
        if self.exit == Exit::NotFound { self.hint(hint) } else { self }
    }

    /// Creates the failure for an argument that cannot be understood.
    pub(crate) fn not_understood(message: impl Into<String>) -> Self {
        Self::new(Exit::NotUnderstood, message)
    }

    /// Creates the failure for something that does not exist.
    pub(crate) fn not_found(message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, message)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let message = error.to_string();
        let hint = hint_for(error.kind(), &message).map(str::to_owned);
        Self { exit: exit_of(error.kind(), &message), message, hint }
    }
}

/// Returns the exit code for an error of the library. This is the only place that decides it.
fn exit_of(kind: ErrorKind, message: &str) -> Exit {
    match kind {
        // The library refuses as well: a pool that is being resized, a batch that changes.
        ErrorKind::Refused if !message.starts_with("Redis at ") => Exit::Failed,
        ErrorKind::Invalid | ErrorKind::TooLarge => Exit::NotUnderstood,
        ErrorKind::NotFound => Exit::NotFound,
        ErrorKind::Refused | ErrorKind::Unknown | ErrorKind::Auth => Exit::Unreachable,
        ErrorKind::Dead | ErrorKind::Cancelled => Exit::CheckFailed,
        ErrorKind::Timeout => Exit::TimedOut,
        _ => Exit::Failed,
    }
}

/// Returns the advice for an error of the library whose text does not give it already.
fn hint_for(kind: ErrorKind, message: &str) -> Option<&'static str> {
    match kind {
        ErrorKind::Refused if message.to_lowercase().contains("read only replica") => {
            Some("this server is a replica: name its primary, or the Sentinels, in the URL")
        }
        ErrorKind::Refused if message.contains("POOLDER_REDIS_URL") => {
            Some("--redis names another server for one command")
        }
        ErrorKind::Auth => Some(
            "put user and password into POOLDER_REDIS_URL; docs/access.md lists the rights that \
             operators need",
        ),
        ErrorKind::Unknown => Some("look before you repeat the command: it may have been executed"),
        ErrorKind::Gone => Some("`poolder job get` shows the state of a job"),
        ErrorKind::Unsupported => Some("`poolder version` shows the version of this program"),
        _ => None,
    }
}

impl fmt::Display for Failure {
    /// Writes one line, and one for the hint, whatever line breaks and control characters the texts
    /// have.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "poolder: {}", crate::output::one_line(&self.message))?;
        match &self.hint {
            Some(hint) => write!(f, "\nhint: {}", crate::output::one_line(hint)),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_error_has_its_exit_code() {
        for (error, exit) in [
            (Error::invalid("x"), 2),
            (Error::too_large("x"), 2),
            (Error::not_found("x"), 3),
            (Error::refused("Redis at localhost did not execute the command"), 4),
            (Error::refused("pool q is being resized"), 1),
            (Error::unknown("x"), 4),
            (Error::auth("x"), 4),
            (Error::dead("x"), 6),
            (Error::cancelled("x"), 6),
            (Error::timeout("x"), 7),
            (Error::codec("x"), 1),
            (Error::full("x"), 1),
            (Error::gone("x"), 1),
            (Error::protocol("x"), 1),
            (Error::unsupported("x"), 1),
        ] {
            assert_eq!(Failure::from(error.repeated()).exit as u8, exit, "{error:?}");
        }
    }

    #[test]
    fn a_failure_is_one_line_and_one_hint_whatever_its_text_holds() {
        let failure = Failure::from(Error::refused("Redis at a\nb\u{1b}[2J read only replica\r\n"))
            .to_string();
        assert_eq!(failure.lines().count(), 2, "{failure}");
        assert!(!failure.contains('\u{1b}') && failure.contains("\nhint: "), "{failure}");
        assert_eq!(
            Failure::not_found("no job").hint("look").to_string(),
            "poolder: no job\nhint: look"
        );
        let other = Failure::from(Error::gone("it runs")).if_not_found("never");
        assert!(!other.to_string().contains("never"), "{other}");
    }
}
