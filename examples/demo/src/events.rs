//! The events that workers report to the coordinator, as lines on standard output such as `files
//! started`.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// An event in the life of a job, as its worker reports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An attempt started.
    Started,
    /// The attempt ended.
    Ended,
    /// The job did its work and is kept running on purpose.
    Kept,
    /// The effect of the job was already there, from an earlier attempt.
    Again,
}

const NAMES: [(&str, Event); 4] = [
    ("started", Event::Started),
    ("ended", Event::Ended),
    ("kept", Event::Kept),
    ("again", Event::Again),
];

/// Reports an event to the coordinator.
pub(crate) fn tell(queue: &str, event: Event) {
    let name = NAMES.iter().find(|(_, one)| *one == event).map_or("", |(name, _)| name);
    // A closed pipe means that the coordinator has ended. Then standard input ends as well, which
    // stops this process in an orderly way.
    let _ = writeln!(std::io::stdout().lock(), "{queue} {name}");
}

/// The numbers of events reported for one queue.
#[derive(Debug, Default)]
pub(crate) struct QueueEvents {
    started: AtomicU64,
    ended: AtomicU64,
    kept: AtomicU64,
    again: AtomicU64,
}

/// The numbers of events reported by one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerEvents {
    pub(crate) files: QueueEvents,
    pub(crate) totals: QueueEvents,
}

impl WorkerEvents {
    /// Counts the event in a line. Returns false if the line is not an event.
    pub(crate) fn note(&self, line: &str) -> bool {
        let Some((queue, name)) = line.split_once(' ') else { return false };
        let counts = match queue {
            "files" => &self.files,
            "totals" => &self.totals,
            _ => return false,
        };
        let Some((_, event)) = NAMES.iter().find(|(one, _)| *one == name) else { return false };
        counts.counter(*event).fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl QueueEvents {
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.counter(event).load(Ordering::Relaxed)
    }

    /// Returns the number of attempts that have started and not ended.
    pub(crate) fn running(&self) -> u64 {
        self.count(Event::Started).saturating_sub(self.count(Event::Ended))
    }

    fn counter(&self, event: Event) -> &AtomicU64 {
        match event {
            Event::Started => &self.started,
            Event::Ended => &self.ended,
            Event::Kept => &self.kept,
            Event::Again => &self.again,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Event, WorkerEvents};

    #[test]
    fn lines_are_counted_as_events() {
        let events = WorkerEvents::default();
        assert!(events.note("files started") && events.note("files started"));
        assert!(events.note("files ended") && events.note("totals again"));
        assert!(!events.note("files vanished") && !events.note("mail started") && !events.note(""));
        assert_eq!((events.files.running(), events.totals.count(Event::Again)), (1, 1));
    }
}
