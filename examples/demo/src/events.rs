//! What workers tell the coordinator: lines on their standard output, such as `files started`.

use std::io::Write;
use std::sync::atomic::{AtomicU64, Ordering};

/// What happened to a job in a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Event {
    /// An attempt started.
    Started,
    /// It ended.
    Ended,
    /// It did its work and is not let go of.
    Kept,
    /// Its effect had been there before.
    Again,
}

const NAMES: [(&str, Event); 4] = [
    ("started", Event::Started),
    ("ended", Event::Ended),
    ("kept", Event::Kept),
    ("again", Event::Again),
];

/// Tells the coordinator.
pub(crate) fn tell(queue: &str, event: Event) {
    let name = NAMES.iter().find(|(_, one)| *one == event).map_or("", |(name, _)| name);
    // If nobody listens any more, our input has ended as well, and that stops us in order.
    let _ = writeln!(std::io::stdout().lock(), "{queue} {name}");
}

/// What a worker has told of one queue.
#[derive(Debug, Default)]
pub(crate) struct Told {
    started: AtomicU64,
    ended: AtomicU64,
    kept: AtomicU64,
    again: AtomicU64,
}

/// What a worker has told.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) files: Told,
    pub(crate) totals: Told,
}

impl Diary {
    /// Takes in a line; false if it is not understood.
    pub(crate) fn note(&self, line: &str) -> bool {
        let Some((queue, name)) = line.split_once(' ') else { return false };
        let told = match queue {
            "files" => &self.files,
            "totals" => &self.totals,
            _ => return false,
        };
        let Some((_, event)) = NAMES.iter().find(|(one, _)| *one == name) else { return false };
        told.counter(*event).fetch_add(1, Ordering::Relaxed);
        true
    }
}

impl Told {
    pub(crate) fn count(&self, event: Event) -> u64 {
        self.counter(event).load(Ordering::Relaxed)
    }

    /// Attempts that have not ended.
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
    use super::{Diary, Event};

    #[test]
    fn what_is_told_is_understood() {
        let diary = Diary::default();
        assert!(diary.note("files started") && diary.note("files started"));
        assert!(diary.note("files ended") && diary.note("totals again"));
        assert!(!diary.note("files vanished") && !diary.note("mail started") && !diary.note(""));
        assert_eq!((diary.files.running(), diary.totals.count(Event::Again)), (1, 1));
    }
}
