//! A process's notes on what its handlers do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::{Ended, Ledger, Record};

/// Numbers the runs of a process, and notes them.
pub(crate) struct Book {
    ledger: Ledger,
    runs: AtomicU64,
}

impl Book {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, runs: AtomicU64::new(1) }
    }

    /// The number of a run about to begin.
    pub(crate) fn next(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn write(&self, record: Record) {
        self.ledger.write(record);
    }
}

/// Notes how a run ended, also when it was dropped where it stood.
pub(crate) struct Page {
    book: Arc<Book>,
    run: u64,
    how: Ended,
}

impl Page {
    /// The page of a run that has begun.
    pub(crate) fn new(book: Arc<Book>, run: u64) -> Self {
        Self { book, run, how: Ended::Dropped }
    }

    /// It ends now, in this way.
    pub(crate) fn end(&mut self, how: Ended) {
        self.how = how;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.book.write(Record::End { run: self.run, how: self.how });
    }
}
