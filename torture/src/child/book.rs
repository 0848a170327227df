//! The records of a process about its handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::{Ended, Ledger, Record};

/// Numbers the handler runs of a process, and writes their records.
pub(crate) struct Book {
    ledger: Ledger,
    runs: AtomicU64,
}

impl Book {
    pub(super) fn new(ledger: Ledger) -> Self {
        Self { ledger, runs: AtomicU64::new(1) }
    }

    /// Returns the number of a run about to begin.
    pub(crate) fn next(&self) -> u64 {
        self.runs.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn write(&self, record: Record) {
        self.ledger.write(record);
    }
}

/// Records the end of a run, even if its future is dropped.
pub(crate) struct Page {
    book: Arc<Book>,
    run: u64,
    how: Ended,
}

impl Page {
    /// Starts the record of a run that has begun.
    pub(crate) fn new(book: Arc<Book>, run: u64) -> Self {
        Self { book, run, how: Ended::Dropped }
    }

    /// Sets the way in which the run ends; it is written when this is dropped.
    pub(crate) fn end(&mut self, how: Ended) {
        self.how = how;
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.book.write(Record::End { run: self.run, how: self.how });
    }
}
