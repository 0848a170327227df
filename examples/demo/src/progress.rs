//! The progress of both queues, read from the counters that Poolder keeps in Redis.

use std::time::{Duration, Instant};

use poolder::Result;
use redis::aio::MultiplexedConnection;

use crate::space::Space;

/// The counters of one queue.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    pub(crate) completed: u64,
    pub(crate) cancelled: u64,
    /// Jobs that died: out of attempts, or after too many crashes of their processes.
    pub(crate) buried: u64,
    /// Attempts that failed and were retried.
    pub(crate) retried: u64,
    /// Jobs taken over from dead nodes.
    pub(crate) rescued: u64,
}

impl Counters {
    /// Returns the number of jobs that have ended.
    pub(crate) fn settled(&self) -> u64 {
        self.completed + self.cancelled + self.buried
    }
}

/// The counters of both queues.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Progress {
    pub(crate) files: Counters,
    pub(crate) totals: Counters,
}

impl Progress {
    pub(crate) fn settled(&self) -> u64 {
        self.files.settled() + self.totals.settled()
    }

    pub(crate) fn rescued(&self) -> u64 {
        self.files.rescued + self.totals.rescued
    }

    /// Returns true when every file has gone through both stages.
    pub(crate) fn is_complete(&self, files: u64) -> bool {
        self.files.settled() >= files && self.totals.settled() >= self.files.completed
    }
}

/// A reader of the counters.
pub(crate) struct Gauge {
    connection: MultiplexedConnection,
    keys: [String; 2],
}

impl Gauge {
    pub(crate) async fn of(space: &Space) -> Result<Self> {
        let key = |queue| format!("{}:{{{queue}.0}}:stats", space.namespace());
        Ok(Self { connection: space.connect().await?, keys: [key("files"), key("totals")] })
    }

    pub(crate) async fn read(&mut self) -> Result<Progress> {
        let mut pipe = redis::pipe();
        for key in &self.keys {
            pipe.cmd("HMGET").arg(key).arg(&["completed", "cancelled", "buried"]);
            pipe.arg(&["retried", "rescued"]);
        }
        let [files, totals]: [[Option<u64>; 5]; 2] = pipe.query_async(&mut self.connection).await?;
        Ok(Progress { files: counters(files), totals: counters(totals) })
    }
}

fn counters(values: [Option<u64>; 5]) -> Counters {
    let [completed, cancelled, buried, retried, rescued] = values.map(Option::unwrap_or_default);
    Counters { completed, cancelled, buried, retried, rescued }
}

/// Measures jobs per second over the time in which jobs ended. The wait until a node is declared
/// dead says nothing about speed and does not count.
pub(crate) struct Meter {
    last: (Instant, u64),
    busy: Duration,
}

impl Meter {
    pub(crate) fn start() -> Self {
        Self { last: (Instant::now(), 0), busy: Duration::ZERO }
    }

    /// Records that `settled` jobs have ended by now.
    pub(crate) fn note(&mut self, settled: u64) {
        let (at, before) = std::mem::replace(&mut self.last, (Instant::now(), settled));
        if settled > before {
            self.busy += self.last.0 - at;
        }
    }

    /// Returns whole jobs per second; `None` until half a second of work has been measured.
    pub(crate) fn rate(&self) -> Option<u64> {
        let millis = u64::try_from(self.busy.as_millis()).unwrap_or(u64::MAX);
        (millis >= 500).then(|| self.last.1 * 1_000 / millis)
    }
}
