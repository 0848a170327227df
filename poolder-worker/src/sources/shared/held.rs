//! The jobs that a claimer holds: which run, which wait for a slot, which may have been cancelled.
//! Knows neither the server nor the slots.

use std::collections::{HashMap, HashSet, VecDeque};

use poolder_core::broker::Commands;
use poolder_core::{JobId, Timestamp};
use tokio::sync::OwnedSemaphorePermit;

use crate::process::commands::KnownCommands;
use crate::run::context::{Context, Interruption};
use crate::run::mailbox::{EntryKey, Work};

/// The entries of a claimer and the jobs among them that wait for a slot.
#[derive(Default)]
pub(super) struct HeldJobs {
    /// All entries that are pending for this consumer on the server, until the server has answered
    /// their settlement.
    held: HashMap<EntryKey, Held>,
    /// Entries that are pending on the server as well, but cannot be settled. They are not held, and
    /// not taken over again.
    given_up: HashSet<EntryKey>,
    /// Jobs claimed in excess of the free slots; they start before newly claimed ones.
    waiting: VecDeque<Work>,
    /// The commands that were applied last.
    applied: Option<Commands>,
    /// Held jobs for which the server must be asked whether they were cancelled.
    to_check: Vec<EntryKey>,
}

/// A claimed entry.
#[derive(Default)]
struct Held {
    /// The context through which the handler is interrupted; `None` for an entry that no slot runs.
    cx: Option<Context>,
    suspect: Option<OwnedSemaphorePermit>,
}

impl HeldJobs {
    /// Returns the number of held entries.
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Returns true when the entry is held, or was given up.
    pub(super) fn contains(&self, key: &EntryKey) -> bool {
        self.held.contains_key(key) || self.given_up.contains(key)
    }

    /// Returns true when one of the held jobs is a suspect.
    pub(super) fn has_suspect(&self) -> bool {
        self.held.keys().any(|(lane, _)| lane.is_suspect())
    }

    /// Holds an entry that no slot will run until its settlement is answered. Returns false when the
    /// entry is held already, or was given up.
    pub(super) fn hold_settled(&mut self, key: EntryKey) -> bool {
        let is_new = !self.contains(&key);
        if is_new {
            self.held.insert(key, Held::default());
        }
        is_new
    }

    /// Holds a claimed job. One that may have been cancelled is checked before the next claim.
    pub(super) fn hold(&mut self, key: EntryKey, cx: Context, may_be_cancelled: bool) {
        if may_be_cancelled {
            self.to_check.push(key.clone());
        }
        self.held.insert(key, Held { cx: Some(cx), suspect: None });
    }

    /// Adds a held job to those that wait for a slot.
    pub(super) fn wait(&mut self, work: Work) {
        self.waiting.push_back(work);
    }

    /// Returns the number of jobs that wait for a slot.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Makes room for more jobs that wait for a slot.
    pub(super) fn reserve(&mut self, more: usize) {
        self.waiting.reserve(more);
    }

    /// Takes all jobs that wait for a slot, the longest waiting first.
    pub(super) fn take_waiting(&mut self) -> VecDeque<Work> {
        std::mem::take(&mut self.waiting)
    }

    /// Takes the jobs that wait behind the first `room` ones.
    pub(super) fn take_beyond(&mut self, room: usize) -> VecDeque<Work> {
        self.waiting.split_off(room.min(self.waiting.len()))
    }

    /// Puts jobs that have not started in front of those that wait.
    pub(super) fn put_back(&mut self, mut jobs: VecDeque<Work>) {
        jobs.append(&mut self.waiting);
        self.waiting = jobs;
    }

    /// Notes that a suspect starts: the permit is kept until its settlement is answered, so that at
    /// most one suspect of the node has begun and is still claimed.
    pub(super) fn start_suspect(&mut self, key: &EntryKey, permit: OwnedSemaphorePermit) {
        if let Some(held) = self.held.get_mut(key) {
            held.suspect = Some(permit);
        }
    }

    /// Stops holding an entry: its settlement is answered, or the node has lost it.
    pub(super) fn remove(&mut self, key: &EntryKey) {
        self.held.remove(key);
    }

    /// Stops holding an entry that cannot be settled, until the node has lost it.
    pub(super) fn give_up(&mut self, key: EntryKey) {
        self.held.remove(&key);
        self.given_up.insert(key);
    }

    /// Stops holding the jobs that have not started, and interrupts the others: the node has lost
    /// all of them.
    pub(super) fn abandon(&mut self) {
        self.given_up.clear();
        for work in std::mem::take(&mut self.waiting) {
            self.held.remove(&(work.claim.lane, work.claim.entry));
        }
        let started = self.held.values().filter_map(|held| held.cx.as_ref());
        started.for_each(|cx| cx.interrupt(Interruption::Lost));
    }

    /// Notes the commands in force; after a change every held job that may have been cancelled has
    /// to be checked.
    pub(super) fn note_commands(&mut self, commands: &KnownCommands) {
        if commands.known() == self.applied {
            return;
        }
        self.applied = commands.known();
        let may_cancel =
            |held: &Held| held.cx.as_ref().is_some_and(|cx| commands.may_cancel(cx.id()));
        let maybe_cancelled = self.held.iter().filter(|(_, held)| may_cancel(held));
        self.to_check = maybe_cancelled.map(|(key, _)| key.clone()).collect();
    }

    /// Returns true when the server must be asked which jobs were cancelled.
    pub(super) fn has_to_check(&self) -> bool {
        !self.to_check.is_empty()
    }

    /// Returns the jobs to ask about, with the times of their enqueues.
    pub(super) fn jobs_to_check(&mut self) -> Vec<(JobId, Option<Timestamp>)> {
        let held = &self.held;
        let running = |key: &EntryKey| held.get(key).and_then(|held| held.cx.as_ref());
        self.to_check.retain(|key| running(key).is_some_and(|cx| !cx.is_cancelled()));
        let jobs = self.to_check.iter().filter_map(running);
        jobs.map(|cx| (cx.id(), cx.began_at())).collect()
    }

    /// Interrupts the jobs of the last [`HeldJobs::jobs_to_check`] that were cancelled, one verdict for
    /// each. Returns their entries and ids.
    pub(super) fn interrupt_cancelled(&mut self, verdicts: &[bool]) -> Vec<(EntryKey, JobId)> {
        let asked = std::mem::take(&mut self.to_check).into_iter().zip(verdicts);
        let cancelled = asked.filter(|(_, verdict)| **verdict).map(|(key, _)| key);
        let mut interrupted = vec![];
        for key in cancelled {
            let Some(cx) = self.held.get(&key).and_then(|held| held.cx.as_ref()) else { continue };
            cx.interrupt(Interruption::Cancelled);
            interrupted.push((key, cx.id()));
        }
        interrupted
    }

    /// Takes those of the waiting jobs whose entries are listed. They have no handler that could
    /// end them.
    pub(super) fn take_waiting_of(&mut self, keys: &HashSet<EntryKey>) -> VecDeque<Work> {
        let listed = |work: &Work| keys.contains(&(work.claim.lane, work.claim.entry.clone()));
        let (taken, kept) = std::mem::take(&mut self.waiting).into_iter().partition(listed);
        self.waiting = kept;
        taken
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use poolder_client::Client;
    use poolder_core::broker::Config;
    use poolder_core::{
        Claim, Counters, Envelope, Format, Headers, Lane, Partition, Policy, QueueName, Timestamp,
    };
    use tokio::sync::Semaphore;

    use super::*;
    use crate::process::commands::CancelFilter;
    use crate::run::about::About;

    fn key(entry: &str) -> EntryKey {
        (Lane::Normal, entry.into())
    }

    /// The context of a job that was claimed for the first time. No server is asked.
    fn context() -> Context {
        let queue = QueueName::new("q").unwrap();
        let (id, format) = (JobId::generate(), Format::MessagePack);
        let envelope = Envelope::build(id, "k", 1, None, format, |_| Ok(())).unwrap();
        let counters = Counters::starting_in(Lane::Normal);
        let claim = Claim::new(Lane::Normal, "7-0".into(), envelope, counters);
        Context::new(About {
            id,
            kind: "k".into(),
            partition: Partition::first(queue),
            attempt: 1,
            fence: 1,
            lane: Lane::Normal,
            times: claim.times(),
            clock: Arc::default(),
            history: None,
            tick: None,
            call: false,
            policy: Policy::default(),
            headers: Headers::new(),
            trace_parent: None,
            client: Client::new(Config::new("redis://127.0.0.1:1")).unwrap(),
            progress: std::sync::Arc::default(),
            states: Arc::default(),
            node: "n".into(),
        })
    }

    fn commands(number: u64, cancelled: CancelFilter) -> KnownCommands {
        let paused = Some(Timestamp::from_millis(1));
        let commands = Commands { number, paused, limited: false };
        KnownCommands::new(commands, cancelled)
    }

    #[test]
    fn an_entry_is_held_once_until_it_is_removed() {
        let mut held = HeldJobs::default();
        assert!(held.hold_settled(key("1-0")));
        assert!(!held.hold_settled(key("1-0")));
        held.hold(key("2-0"), context(), false);
        assert_eq!((held.len(), held.contains(&key("2-0"))), (2, true));
        held.remove(&key("1-0"));
        held.remove(&key("2-0"));
        assert!(held.is_empty());
    }

    #[test]
    fn an_entry_that_was_given_up_is_not_held_and_not_taken_over_again() {
        let mut held = HeldJobs::default();
        let suspect = (Lane::Suspect, "1-0".into());
        held.hold(suspect.clone(), context(), false);
        held.give_up(suspect.clone());
        assert!(held.is_empty() && !held.has_suspect());
        assert!(held.contains(&suspect) && !held.hold_settled(suspect.clone()));
        held.abandon();
        assert!(!held.contains(&suspect), "it belongs to the old name of the node");
    }

    #[test]
    fn jobs_that_may_have_been_cancelled_are_asked_about_once_per_command() {
        let (mut held, cx, other) = (HeldJobs::default(), context(), context());
        held.hold_settled(key("0-1"));
        held.hold(key("1-0"), cx.clone(), false);
        held.hold(key("2-0"), other.clone(), false);
        assert!(!held.has_to_check());
        held.note_commands(&commands(1, CancelFilter::Only(Arc::new([cx.id()].into()))));
        assert_eq!(held.jobs_to_check(), [(cx.id(), cx.began_at())]);
        assert_eq!(held.interrupt_cancelled(&[true]), [(key("1-0"), cx.id())]);
        assert_eq!(cx.interruption(), Some(Interruption::Cancelled));
        assert!(!other.is_cancelled());
        held.note_commands(&commands(1, CancelFilter::MaybeAny));
        assert!(!held.has_to_check(), "the commands are the same");
        held.note_commands(&commands(2, CancelFilter::MaybeAny));
        assert_eq!(
            held.jobs_to_check(),
            [(other.id(), other.began_at())],
            "one is cancelled already"
        );
        assert_eq!(held.interrupt_cancelled(&[false]), []);
        assert!(!held.has_to_check() && !other.is_cancelled());
    }

    #[test]
    fn a_job_that_has_ended_meanwhile_is_not_asked_about() {
        let mut held = HeldJobs::default();
        held.hold(key("1-0"), context(), true);
        held.remove(&key("1-0"));
        assert!(held.has_to_check());
        assert_eq!((held.jobs_to_check(), held.has_to_check()), (vec![], false));
    }

    #[test]
    fn a_suspect_keeps_its_permit_until_its_settlement_is_answered() {
        let (mut held, suspects) = (HeldJobs::default(), Arc::new(Semaphore::new(1)));
        let suspect = (Lane::Suspect, "1-0".into());
        held.hold(suspect.clone(), context(), false);
        assert!(held.has_suspect());
        held.start_suspect(&suspect, Arc::clone(&suspects).try_acquire_owned().unwrap());
        assert_eq!(suspects.available_permits(), 0);
        held.remove(&suspect);
        assert_eq!((suspects.available_permits(), held.has_suspect()), (1, false));
    }

    #[test]
    fn all_handlers_are_interrupted_when_the_node_has_lost_its_jobs() {
        let (mut held, cx) = (HeldJobs::default(), context());
        held.hold(key("1-0"), cx.clone(), false);
        held.abandon();
        assert_eq!(cx.interruption(), Some(Interruption::Lost));
        assert_eq!(held.len(), 1, "its slot reports its end");
    }
}
