//! Records what a client has changed: in the audit, and in the journal what happens to a whole queue
//! or pool.

use std::fmt::Display;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use poolder_core::Error;
use poolder_core::broker::Broker;
use poolder_core::history::{Actor, AuditOutcome, AuditRecord, JournalEvent, JournalRecord, LogId};

/// Writes the changes of a client into the audit. A failure to write is logged, and fails no
/// change.
#[derive(Debug, Clone)]
pub(crate) struct Auditor {
    broker: Broker,
    /// The actor; `None` when the program has named none.
    actor: Option<Arc<Actor>>,
}

/// A change that is to be recorded.
#[derive(Debug)]
pub(crate) struct Change {
    action: &'static str,
    target: String,
    detail: String,
    /// True for a change that programs make in the course of their work.
    is_ordinary: bool,
    /// The event of the journal that the change is.
    event: Option<JournalEvent>,
}

impl Change {
    /// Creates a change of a thing that operators change.
    pub(crate) fn new(action: &'static str, target: impl Display) -> Self {
        let (target, detail) = (target.to_string(), String::new());
        Self { action, target, detail, is_ordinary: false, event: None }
    }

    /// Creates a change of a thing that programs change in the course of their work, such as one
    /// job. It is recorded when the client has a named actor.
    pub(crate) fn ordinary(action: &'static str, target: impl Display) -> Self {
        Self { is_ordinary: true, ..Self::new(action, target) }
    }

    /// Says which event of the journal the change is.
    pub(crate) fn event(mut self, event: JournalEvent) -> Self {
        self.event = Some(event);
        self
    }

    /// Says what else was asked for.
    pub(crate) fn detail(mut self, detail: impl Display) -> Self {
        self.detail = detail.to_string();
        self
    }
}

impl Auditor {
    pub(crate) fn new(broker: Broker, actor: Option<Arc<Actor>>) -> Self {
        Self { broker, actor }
    }

    /// Returns the actor of changes: this process where the program has named none.
    pub(crate) fn actor(&self) -> Actor {
        self.actor.as_deref().cloned().unwrap_or_else(Actor::process)
    }

    /// Makes a change and records it. `changed` returns how many things were changed. A change of
    /// nothing, and one that failed for certain, is not recorded.
    pub(crate) async fn record<T>(
        &self,
        change: impl FnOnce() -> Change,
        changed: impl FnOnce(&T) -> u64,
        made: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        let began = Instant::now();
        let made = made.await;
        let (outcome, changed) = match &made {
            Ok(value) => (AuditOutcome::Done, changed(value)),
            Err(error) if error.is_unknown() => (AuditOutcome::Unknown, 0),
            Err(_) => return made,
        };
        if changed > 0 || outcome == AuditOutcome::Unknown {
            let change = change();
            if self.actor.is_some() || !change.is_ordinary {
                let mut record = self.about(&change);
                (record.outcome, record.changed) = (outcome, changed);
                record.ms = millis_since(began);
                // Boxed, so that the futures of changes stay small.
                Box::pin(self.write(&record)).await;
                if let (Some(event), AuditOutcome::Done) = (change.event, outcome) {
                    let about = JournalRecord::new(event).partition(&change.target);
                    let about = about.by(&record.actor).detail(&change.detail);
                    Box::pin(self.note(&about)).await;
                }
            }
        }
        made
    }

    /// Records that a change of many things begins. Its end is recorded by [`Begun::end`].
    pub(crate) async fn begin(&self, change: Change) -> Begun {
        let record = self.about(&change);
        let id = self.write(&record).await;
        Begun {
            auditor: self.clone(),
            record,
            id,
            began: Instant::now(),
            changed: AtomicU64::new(0),
        }
    }

    fn about(&self, change: &Change) -> AuditRecord {
        AuditRecord::new(&self.actor(), change.action, &change.target, &change.detail)
    }

    /// Adds an event to the journal. A failure is logged.
    pub(crate) async fn note(&self, record: &JournalRecord) {
        #[cfg(feature = "testing")]
        if self.broker.captured().is_some() {
            return;
        }
        if let Err(error) = self.broker.add_to_journal(record).await {
            tracing::warn!(event = %record.event, %error, "an event is missing in the journal");
        }
    }

    async fn write(&self, record: &AuditRecord) -> Option<LogId> {
        #[cfg(feature = "testing")]
        if self.broker.captured().is_some() {
            return None;
        }
        let (action, target) = (&record.action, &record.target);
        let written = self.broker.add_to_audit(record).await;
        written
            .inspect_err(|error| {
                tracing::warn!(%action, %target, %error, "a change is missing in the audit");
            })
            .ok()
    }
}

/// A change of many things that has begun.
#[derive(Debug)]
pub(crate) struct Begun {
    auditor: Auditor,
    record: AuditRecord,
    id: Option<LogId>,
    began: Instant,
    changed: AtomicU64,
}

impl Begun {
    /// Counts things that were changed.
    pub(crate) fn add(&self, changed: u64) {
        self.changed.fetch_add(changed, Ordering::Relaxed);
    }

    /// Records the end of the change.
    pub(crate) async fn end<T>(self, made: Result<T, Error>) -> Result<T, Error> {
        let Self { auditor, mut record, id, began, changed } = self;
        record.outcome = if made.is_ok() { AuditOutcome::Done } else { AuditOutcome::Failed };
        record.changed = changed.into_inner();
        (record.begun, record.ms) = (id, millis_since(began));
        auditor.write(&record).await;
        made
    }
}

fn millis_since(began: Instant) -> u64 {
    u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX)
}
