//! The events in the life of a job on this node. Every source reports them here and nowhere else:
//! logs are written here, and all else that follows jobs hangs here.

use std::sync::Arc;
use std::time::Duration;

use poolder_core::broker::{Settled, Settlement};
use poolder_core::history::{AttemptEnd, JournalEvent, JournalRecord};
use poolder_core::policy::decide::{Ending, Return, Transition};
use poolder_core::{
    Cause, Claim, Counters, Error, Failure, JobId, Partition, Undecodable, Verdict,
};

use super::context::Context;
use crate::process::finished::FinishedJobs;
use crate::process::journal::Journal;
use crate::process::meter::{KindNumber, QueueMeter, Refusal, Sample};

/// The log target of events that may be as many as jobs.
const TARGET: &str = "poolder::job";

/// An event in the life of a job on this node.
#[derive(Clone, Copy)]
pub(crate) enum JobEvent<'a> {
    /// The job was claimed, and this node can run it.
    Claimed(&'a Claim),
    /// The job was claimed, but no worker here runs its kind or version, or this version of Poolder
    /// does not know an option that must be understood. The engine also counts these jobs and warns
    /// once a minute.
    UnknownKind(&'a Claim),
    /// The job was claimed after the time within which it had to start. It is cancelled.
    Expired(&'a Claim),
    /// The entry was claimed, but cannot be decoded. It is buried as it is.
    Undecodable(&'a Undecodable),
    /// An attempt starts.
    Started(&'a Context),
    /// An attempt failed; `handle_error` returned the verdict.
    Failed(&'a Context, &'a Failure, Verdict),
    /// An attempt has ended, and this comes next.
    Ended(&'a Context, &'a Transition),
    /// An attempt was given up, since this node was declared dead.
    Lost(&'a Context),
    /// Operators have cancelled the job before its end was settled.
    Cancelled(JobId),
    /// The job was taken back from a dead node.
    Rescued(JobId, &'a str),
    /// The job has died: its counters have the reason.
    Died(JobId, &'a Counters, KindNumber),
    /// The script call of the job's settlement raised this error, and is repeated after this time.
    NotSettled(JobId, &'a Error, Duration),
    /// The job is settled without the effects of these names, which raise this error.
    EffectsLost(JobId, &'a Error, &'a [&'static str]),
    /// The job is buried, since its settlement raises this error.
    BuriedUnsettled(JobId, &'a Error),
    /// The job can be neither settled nor buried.
    GivenUp(JobId, &'a Error),
}

/// Where the events of the jobs of one queue are reported: to the log, to the meter, and those of
/// the fleet to the journal. Jobs that are to be kept are handed on when their end is settled.
#[derive(Default)]
pub(crate) struct Events {
    meter: Arc<QueueMeter>,
    journal: Journal,
    finished: FinishedJobs,
}

impl Events {
    pub(crate) fn new(meter: Arc<QueueMeter>, journal: Journal, finished: FinishedJobs) -> Self {
        Self { meter, journal, finished }
    }

    /// Returns the finished jobs that are to be kept.
    pub(crate) fn finished(&self) -> &FinishedJobs {
        &self.finished
    }

    /// Returns the journal, for what happens to the partition.
    pub(crate) fn journal(&self) -> &Journal {
        &self.journal
    }

    /// Returns the meter of the queue. The samples of jobs that are processed together are added to
    /// it together; the other counts hang on the events.
    pub(crate) fn meter(&self) -> &Arc<QueueMeter> {
        &self.meter
    }

    /// Reports an event of a job of this partition.
    pub(crate) fn emit(&self, partition: &Partition, event: JobEvent<'_>) {
        match event {
            JobEvent::UnknownKind(claim) => {
                let kind = self.meter.number(claim.envelope.kind());
                self.meter.add_one(Sample::Ended(kind, AttemptEnd::NotForUs, None));
            }
            JobEvent::Undecodable(found) => {
                let kind = self.meter.unreadable();
                self.meter.add_one(Sample::Ended(kind, AttemptEnd::Payload, None));
                self.meter.add_error(&self.meter.name(kind), found.id, &found.reason);
            }
            JobEvent::Failed(cx, failure, _) => self.meter.add_error(cx.kind(), cx.id(), failure),
            JobEvent::Died(_, _, kind) => self.meter.add_one(Sample::Died(kind)),
            _ => {}
        }
        log(partition, event);
    }

    /// Counts the end of a claim that no slot has started.
    pub(crate) fn not_started(&self, kind: KindNumber, ending: &Ending) {
        self.meter.add_one(Sample::Ended(kind, AttemptEnd::of(ending), None));
    }

    /// Reports the server's answer to a settlement. `own` is true when this node has claimed the
    /// job, and false when it takes the job back from another one.
    pub(crate) fn answered(
        &self,
        partition: &Partition,
        settlement: &Settlement,
        answer: &Settled,
        own: bool,
    ) {
        let job = settlement.job_id();
        if own {
            tracing::trace!(
                target: "poolder::settled", %job, applied = matches!(answer, Settled::Applied),
                completes = settlement.transition().completes(), "the server answered a settlement"
            );
        }
        match answer {
            Settled::Applied => self.applied(partition, settlement, own),
            Settled::Fenced if own => {
                self.meter.add_refusal(Refusal::Fenced);
                tracing::warn!(
                    %partition, %job,
                    "settled before, or taken back: this settlement changed nothing"
                );
                self.journal.note(about(JournalEvent::SettlementRefused, partition, job));
            }
            // Another leader was faster.
            Settled::Fenced => {}
            // The settlement is sent again.
            Settled::Epoch if own => self.meter.add_refusal(Refusal::Epoch),
            Settled::Epoch | Settled::Failed(_) | Settled::Broken(_) => {}
        }
    }

    fn applied(&self, partition: &Partition, settlement: &Settlement, own: bool) {
        if let Some(job) = settlement.finished() {
            self.finished.add(partition, job);
        }
        let kind = || match settlement.label() {
            Some(label) => KindNumber::of_label(label),
            None => self.meter.unreadable(),
        };
        let transition = settlement.transition();
        if !own && let Some(end) = taken_back(transition) {
            self.meter.add_one(Sample::Ended(kind(), end, None));
            if let Some(crash) = crash(transition) {
                let job = settlement.job_id();
                self.meter.add_error(&self.meter.name(kind()), job, crash);
                let event = match transition {
                    Transition::Bury { .. } => Some(JournalEvent::CrashBuried),
                    Transition::Ready { counters, .. } => {
                        counters.is_suspect().then_some(JournalEvent::Suspect)
                    }
                    _ => None,
                };
                if let Some(event) = event {
                    self.journal.note(about(event, partition, job).detail(&crash.message));
                }
            }
        }
        if let Transition::Bury { counters } = transition {
            self.emit(partition, JobEvent::Died(settlement.job_id(), counters, kind()));
        }
    }
}

/// Returns the record of an event of a job.
fn about(event: JournalEvent, partition: &Partition, job: JobId) -> JournalRecord {
    JournalRecord::new(event).partition(partition).job(job)
}

/// Returns how the attempt of a job ended that was taken back from another node; `None` for an entry
/// that cannot be read.
fn taken_back(transition: &Transition) -> Option<AttemptEnd> {
    match transition {
        _ if crash(transition).is_some() => Some(AttemptEnd::Crashed),
        Transition::Bury { .. } => None,
        _ => Some(AttemptEnd::HandedBack),
    }
}

/// Returns the crash for which a job is taken back.
fn crash(transition: &Transition) -> Option<&Failure> {
    let (Transition::Ready { why: Return::Rescue, counters, .. } | Transition::Bury { counters }) =
        transition
    else {
        return None;
    };
    counters.last_failure.as_ref().filter(|failure| failure.cause == Cause::Crash)
}

fn log(partition: &Partition, event: JobEvent<'_>) {
    match event {
        JobEvent::Claimed(claim) => tracing::trace!(
            target: TARGET, %partition, job = %claim.job_id(), kind = claim.envelope.kind(),
            attempt = claim.attempt(), "claimed"
        ),
        JobEvent::UnknownKind(claim) => tracing::debug!(
            target: TARGET, %partition, job = %claim.job_id(), kind = claim.envelope.kind(),
            version = claim.envelope.version(), option = claim.envelope.unknown_requirement(),
            "no worker here for this kind and version, or an unknown option"
        ),
        JobEvent::Expired(claim) => tracing::info!(
            target: TARGET, %partition, job = %claim.job_id(), kind = claim.envelope.kind(),
            "the job is cancelled, since it did not start in time"
        ),
        JobEvent::Undecodable(found) => tracing::error!(
            %partition, entry = %found.entry, reason = %found.reason,
            "an entry cannot be decoded, it is buried as it is"
        ),
        JobEvent::Started(cx) => tracing::debug!(
            target: TARGET, queue = cx.queue(), job = %cx.id(), kind = cx.kind(),
            attempt = cx.attempt(), max_attempts = cx.max_attempts(), node = cx.node(),
            slot = cx.slot_number(), waited = ?cx.waited(), "an attempt starts"
        ),
        JobEvent::Failed(cx, failure, verdict) => tracing::debug!(
            target: TARGET, %partition, job = %cx.id(), kind = cx.kind(), attempt = cx.attempt(),
            %failure, ?verdict, "an attempt failed, and its worker has decided"
        ),
        JobEvent::Ended(cx, next) => tracing::info!(
            target: TARGET, queue = cx.queue(), job = %cx.id(), kind = cx.kind(),
            attempt = cx.attempt(), max_attempts = cx.max_attempts(), node = cx.node(),
            slot = cx.slot_number(), took = ?cx.elapsed(), outcome = next.outcome(),
            failure = next.failure().map(tracing::field::display), %next, "an attempt ended"
        ),
        JobEvent::Lost(cx) => tracing::info!(
            target: TARGET, queue = cx.queue(), job = %cx.id(), kind = cx.kind(),
            attempt = cx.attempt(), max_attempts = cx.max_attempts(), node = cx.node(),
            slot = cx.slot_number(), took = ?cx.elapsed(), outcome = "lost",
            next = "again on another node", "an attempt was given up: this node was declared dead"
        ),
        JobEvent::Cancelled(job) => tracing::info!(%partition, %job, "the job was cancelled"),
        JobEvent::Rescued(job, node) => tracing::info!(%partition, %job, node, "rescued"),
        JobEvent::Died(job, counters, _) => {
            let reason = counters.last_failure.as_ref().map(ToString::to_string);
            let reason = reason.as_deref().unwrap_or_default();
            tracing::error!(%partition, %job, reason, "a job died");
        }
        JobEvent::NotSettled(job, error, retry_in) => tracing::warn!(
            %partition, %job, %error, ?retry_in, "a job could not be settled yet"
        ),
        JobEvent::EffectsLost(job, error, lost) => tracing::error!(
            %partition, %job, %error, ?lost,
            "a job cannot be settled together with these effects, it is settled without them"
        ),
        JobEvent::BuriedUnsettled(job, error) => tracing::error!(
            %partition, %job, %error, "a job cannot be settled, it is buried"
        ),
        JobEvent::GivenUp(job, error) => tracing::error!(
            %partition, %job, %error,
            "a job can be neither settled nor buried, it stays claimed until its consumer is rescued"
        ),
    }
}
