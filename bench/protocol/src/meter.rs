//! Counts and times jobs inside a contender.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use hdrhistogram::Histogram;
use tokio::sync::Notify;

use crate::{Latency, Report};

/// Counts jobs up to a target, and measures the time from the first to the last.
#[derive(Debug, Clone)]
pub struct Meter(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    target: u64,
    count: AtomicU64,
    first: OnceLock<Instant>,
    last: OnceLock<Instant>,
    reached: Notify,
}

impl Meter {
    /// Creates a meter for `target` jobs.
    #[must_use]
    pub fn new(target: u64) -> Self {
        let (count, reached) = (AtomicU64::new(0), Notify::new());
        let (first, last) = (OnceLock::new(), OnceLock::new());
        Self(Arc::new(Inner { target, count, first, last, reached }))
    }

    /// Starts the clock before the first job.
    pub fn start(&self) {
        let _ = self.0.first.set(Instant::now());
    }

    /// Counts one finished job.
    pub fn hit(&self) {
        self.hits(1);
    }

    /// Counts `jobs` finished jobs.
    pub fn hits(&self, jobs: u64) {
        let before = self.0.count.fetch_add(jobs, Ordering::Relaxed);
        if before == 0 {
            self.start();
        }
        if before < self.0.target && before + jobs >= self.0.target {
            let _ = self.0.last.set(Instant::now());
            self.0.reached.notify_one();
        }
    }

    /// Returns the number of jobs counted.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.count.load(Ordering::Relaxed)
    }

    /// Waits until the target is reached.
    pub async fn reached(&self) {
        while self.0.last.get().is_none() {
            self.0.reached.notified().await;
        }
    }

    /// Returns the count, and the time it took.
    #[must_use]
    pub fn report(&self) -> Report {
        let now = Instant::now();
        let first = *self.0.first.get().unwrap_or(&now);
        let last = *self.0.last.get().unwrap_or(&now);
        let jobs = self.count().min(self.0.target);
        Report { jobs, seconds: (last - first).as_secs_f64(), ..Report::default() }
    }
}

/// Measures the time from sending a job to its start.
#[derive(Debug, Clone)]
pub struct Stopwatch(Arc<Mutex<Times>>);

#[derive(Debug)]
struct Times {
    sent: Vec<Option<Instant>>,
    histogram: Histogram<u64>,
}

impl Stopwatch {
    /// Creates a stopwatch for jobs numbered from 0.
    #[must_use]
    pub fn new(jobs: u64) -> Self {
        let sent = vec![None; usize::try_from(jobs).unwrap_or_default()];
        Self(Arc::new(Mutex::new(Times { sent, histogram: histogram() })))
    }

    /// Records that the job is sent now.
    pub fn sends(&self, job: u64) {
        self.with(|times| {
            if let Some(sent) = times.sent.get_mut(usize::try_from(job).unwrap_or(usize::MAX)) {
                *sent = Some(Instant::now());
            }
        });
    }

    /// Records that the job has started.
    pub fn started(&self, job: u64) {
        let now = Instant::now();
        self.with(|times| {
            let at = usize::try_from(job).unwrap_or(usize::MAX);
            if let Some(sent) = times.sent.get_mut(at).and_then(Option::take) {
                record(&mut times.histogram, now - sent);
            }
        });
    }

    /// Returns the percentiles.
    #[must_use]
    pub fn latency(&self) -> Latency {
        self.with(|times| percentiles(&times.histogram))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Times) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Measures how much later than due jobs start. Jobs that start early count as on time, and are
/// also counted separately.
#[derive(Debug, Clone)]
pub struct Lateness(Arc<Mutex<(Histogram<u64>, u64)>>);

impl Default for Lateness {
    fn default() -> Self {
        Self(Arc::new(Mutex::new((histogram(), 0))))
    }
}

impl Lateness {
    /// Records that a job due at `due_ms`, in ms since 1970, starts now.
    pub fn started(&self, due_ms: u64) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let due = Duration::from_millis(due_ms);
        let mut inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match now.checked_sub(due) {
            Some(late) => record(&mut inner.0, late),
            None => {
                record(&mut inner.0, Duration::ZERO);
                inner.1 += 1;
            }
        }
    }

    /// Returns the percentiles.
    #[must_use]
    pub fn latency(&self) -> Latency {
        percentiles(&self.0.lock().unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Returns how many jobs started before they were due.
    #[must_use]
    pub fn early(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// A histogram of up to an hour, in µs, to three digits.
fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 3_600_000_000, 3).expect("the bounds are legal")
}

fn record(histogram: &mut Histogram<u64>, time: Duration) {
    histogram.saturating_record(u64::try_from(time.as_micros()).unwrap_or(u64::MAX));
}

fn percentiles(histogram: &Histogram<u64>) -> Latency {
    let at = |quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0;
    Latency { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: histogram.max() as f64 / 1000.0 }
}
