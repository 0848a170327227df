//! The line of progress of long work, on a terminal.

use std::io::{self, IsTerminal, Write};

use super::text::number;

/// A line on standard error that is written again and again; nothing where that is no terminal.
#[derive(Debug)]
pub(crate) struct Progress {
    of: u64,
    is_shown: bool,
}

impl Progress {
    /// Begins work of this size.
    pub(crate) fn new(of: u64) -> Self {
        Self { of, is_shown: io::stderr().is_terminal() }
    }

    /// Shows how much is done.
    pub(crate) fn show(&self, done: u64) {
        if self.is_shown {
            let _ = write!(io::stderr(), "\r{} of {} ", number(done), number(self.of.max(done)));
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_shown {
            // The line is erased: the result of the command says the number.
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
