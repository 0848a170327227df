//! Keeps the log of the nodes of a test, for the case that the test fails.

use std::collections::VecDeque;
use std::fmt::{self, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// Number of lines that are kept.
const MAX_LINES: usize = 2_000;

/// The last lines that the nodes of one test have logged, at the level INFO and above.
#[derive(Debug)]
pub(super) struct NodeLog {
    started: Instant,
    spans: AtomicU64,
    lines: Mutex<VecDeque<String>>,
}

impl NodeLog {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            started: Instant::now(),
            spans: AtomicU64::new(1),
            lines: Mutex::default(),
        })
    }

    /// Calls a function, and keeps what its thread logs, unless the process has set a subscriber for
    /// all threads, which then goes on to get it.
    pub(super) fn record<T>(self: &Arc<Self>, function: impl FnOnce() -> T) -> T {
        let unused = |set: &Dispatch| set.is::<NoSubscriber>();
        if !tracing::dispatcher::get_default(unused) {
            return function();
        }
        tracing::subscriber::with_default(Arc::clone(self), function)
    }

    /// Returns the lines in order.
    pub(super) fn text(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let mut text = String::from("--- the log of the nodes:");
        for line in &*lines {
            let _ = write!(text, "\n{line}");
        }
        text
    }
}

impl Subscriber for NodeLog {
    fn enabled(&self, about: &Metadata<'_>) -> bool {
        *about.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed))
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let (at, about) = (self.started.elapsed().as_secs_f64(), event.metadata());
        let mut line = format!("{at:8.3} {:5} {}:", about.level(), about.target());
        event.record(&mut Fields(&mut line));
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == MAX_LINES {
            lines.pop_front();
        }
        lines.push_back(line);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Writes the fields of an event behind its line.
struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_a_thread_are_kept_with_their_fields() {
        let log = NodeLog::new();
        log.record(|| {
            tracing::warn!(queue = "mail", tries = 3, "the server is away");
            tracing::debug!("too much");
        });
        tracing::warn!("of another test");
        let text = log.text();
        let lines: Vec<&str> = text.lines().skip(1).collect();
        assert_eq!(lines.len(), 1, "{text}");
        assert!(lines[0].ends_with("the server is away queue=\"mail\" tries=3"), "{text}");
        for _ in 0..MAX_LINES {
            log.record(|| tracing::info!("more"));
        }
        assert!(!log.text().contains("away"), "old lines go");
    }
}
