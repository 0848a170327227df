//! The log of a test.

use std::sync::{Arc, Mutex};

use tracing::Level;
use tracing::subscriber::DefaultGuard;
use tracing_subscriber::fmt::format::FmtSpan;

/// The lines that the thread of a test has logged. The pools and services of its nodes run on it.
#[derive(Clone, Default)]
pub(crate) struct Log {
    bytes: Arc<Mutex<Vec<u8>>>,
    /// The texts whose first lines make the log panic.
    panics: Arc<Mutex<Vec<&'static str>>>,
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let line = String::from_utf8_lossy(bytes);
        let mut panics = self.panics.lock().unwrap();
        let found = panics.iter().position(|text| line.contains(text)).map(|at| panics.remove(at));
        drop(panics);
        if let Some(text) = found {
            panic!("the log panics at: {text}");
        }
        self.bytes.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// Keeps what the thread logs at this level and above, until the guard is dropped. At `DEBUG`
    /// and below, each new span is a line.
    pub(crate) fn record(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let writer = log.clone();
        let spans = if level > Level::INFO { FmtSpan::NEW } else { FmtSpan::NONE };
        let seen = tracing_subscriber::fmt().with_ansi(false).with_max_level(level);
        let seen = seen.with_span_events(spans).with_writer(move || writer.clone()).finish();
        (log, tracing::subscriber::set_default(seen))
    }

    /// Panics at the first line with each of these texts, as a broken subscriber does.
    pub(crate) fn panic_at(&self, texts: &[&'static str]) {
        *self.panics.lock().unwrap() = texts.to_vec();
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    /// Returns the lines with this text.
    pub(crate) fn lines(&self, with: &str) -> Vec<String> {
        self.text().lines().filter(|line| line.contains(with)).map(ToOwned::to_owned).collect()
    }

    /// Returns the errors with this text.
    pub(crate) fn errors(&self, text: &str) -> Vec<String> {
        self.lines(text).into_iter().filter(|line| line.contains("ERROR")).collect()
    }

    /// Returns how often this text was logged.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.text().matches(text).count()
    }
}
