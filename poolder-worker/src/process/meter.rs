//! The meter of a node: counts, by queue and kind, how attempts end, how long they run and how long
//! jobs have waited.
//!
//! Jobs are counted in groups: the claimer of a queue adds the samples of all jobs that it has
//! processed together under one lock, and nothing else is done per job. Counters only grow, so that
//! any number of readers can read them, each of which remembers its own last reading.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use poolder_core::history::{AttemptEnd, ErrorId, ErrorSample, KindSums};
use poolder_core::{Failure, JobId, QueueName};

/// The most kinds of a queue that are counted by name. All others are counted as [`OTHER`].
const MAX_KINDS: usize = 200;

/// The name under which the kinds beyond [`MAX_KINDS`] are counted, and entries that cannot be read.
const OTHER: &str = "other";

/// The most groups of equal errors of a queue that are noted until they are taken.
const MAX_ERRORS: usize = 64;

/// The counters of a node.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    queues: Mutex<BTreeMap<Arc<str>, Arc<QueueMeter>>>,
}

/// The counters of one queue in this node.
#[derive(Debug, Default)]
pub(crate) struct QueueMeter {
    queue: Arc<str>,
    tally: Mutex<Tally>,
    errors: Mutex<BTreeMap<ErrorId, (u64, ErrorSample)>>,
    refused: [AtomicU64; Refusal::ALL.len()],
}

/// The reason for which the server has applied no settlement of this node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The node no longer held the claim: it was settled before, or taken back.
    Fenced,
    /// The server has another history than the claim. The settlement is sent again with care.
    Epoch,
}

impl Refusal {
    /// All reasons, in the order of their counts.
    pub(crate) const ALL: [Self; 2] = [Self::Fenced, Self::Epoch];

    /// Returns the name, as it is in the metrics.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Fenced => "fenced",
            Self::Epoch => "epoch",
        }
    }
}

/// The number of a kind among those that a [`QueueMeter`] counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KindNumber(u16);

/// One count, to be added together with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sample {
    /// A job was claimed after it had waited for this time, in microseconds.
    Waited(KindNumber, u64),
    /// An attempt ended. The run time in microseconds is known unless no handler has ended.
    Ended(KindNumber, AttemptEnd, Option<u64>),
    /// A job was buried.
    Died(KindNumber),
}

/// The counts of a queue since the node started.
pub(crate) struct QueueReading {
    pub(crate) queue: Arc<str>,
    pub(crate) kinds: Vec<KindReading>,
    /// Settlements that were refused, in the order of [`Refusal::ALL`].
    pub(crate) refused: [u64; Refusal::ALL.len()],
}

/// The counts of a kind since the node started.
pub(crate) struct KindReading {
    pub(crate) kind: Arc<str>,
    pub(crate) sums: KindSums,
}

#[derive(Debug, Default)]
struct Tally {
    /// By [`KindNumber`].
    kinds: Vec<(Arc<str>, KindSums)>,
    numbers: HashMap<Arc<str>, u16>,
}

impl KindNumber {
    /// Returns the number as a label of a settlement.
    pub(crate) fn label(self) -> u16 {
        self.0
    }

    /// Returns the kind of a labelled settlement.
    pub(crate) fn of_label(label: u16) -> Self {
        Self(label)
    }
}

impl Meter {
    /// Returns the counters of a queue. They stay when the pool of the queue ends, and go on with
    /// the next one.
    pub(crate) fn queue(&self, queue: &QueueName) -> Arc<QueueMeter> {
        let mut queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner);
        let name: Arc<str> = queue.as_str().into();
        let new = || Arc::new(QueueMeter { queue: Arc::clone(&name), ..QueueMeter::default() });
        Arc::clone(queues.entry(Arc::clone(&name)).or_insert_with(new))
    }

    /// Takes the errors since the last call, each with the number of times that it was seen.
    pub(crate) fn take_errors(&self) -> Vec<(ErrorId, u64, ErrorSample)> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let take = |meter: Arc<QueueMeter>| std::mem::take(&mut *meter.errors());
        let taken = queues.into_values().flat_map(take);
        taken.map(|(id, (times, sample))| (id, times, sample)).collect()
    }

    /// Returns the counts since the node started.
    pub(crate) fn read(&self) -> Vec<QueueReading> {
        let queues = self.queues.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let read = |(queue, meter): (_, Arc<QueueMeter>)| QueueReading {
            queue,
            kinds: meter.read(),
            refused: meter.refused.each_ref().map(|times| times.load(Ordering::Relaxed)),
        };
        queues.into_iter().map(read).collect()
    }
}

impl QueueMeter {
    /// Returns the number of a kind, which stays the same.
    pub(crate) fn number(&self, kind: &str) -> KindNumber {
        self.tally().number(kind)
    }

    /// Returns the number under which entries are counted that cannot be read.
    pub(crate) fn unreadable(&self) -> KindNumber {
        self.number(OTHER)
    }

    /// Adds samples, and empties their list.
    pub(crate) fn add(&self, samples: &mut Vec<Sample>) {
        if !samples.is_empty() {
            let mut tally = self.tally();
            samples.drain(..).for_each(|sample| tally.add(sample));
        }
    }

    /// Adds one sample. Samples of jobs that are processed together are added together.
    pub(crate) fn add_one(&self, sample: Sample) {
        self.tally().add(sample);
    }

    /// Counts a settlement that the server has not applied.
    pub(crate) fn add_refusal(&self, why: Refusal) {
        self.refused[why as usize].fetch_add(1, Ordering::Relaxed);
    }

    /// Notes an error of a job. Beyond the limit, errors of new groups are only counted as attempts.
    pub(crate) fn add_error(&self, kind: &str, job: JobId, failure: &Failure) {
        let (id, mut errors) = (ErrorId::of(kind, failure), self.errors());
        if let Some((times, _)) = errors.get_mut(&id) {
            *times += 1;
        } else if errors.len() < MAX_ERRORS {
            let of = (&*self.queue, kind);
            errors.insert(id, (1, ErrorSample::new(of, failure, job)));
        }
    }

    /// Returns the name of a kind.
    pub(crate) fn name(&self, kind: KindNumber) -> Arc<str> {
        let tally = self.tally();
        tally.kinds.get(usize::from(kind.0)).map_or_else(|| OTHER.into(), |(name, _)| name.clone())
    }

    fn errors(&self) -> MutexGuard<'_, BTreeMap<ErrorId, (u64, ErrorSample)>> {
        self.errors.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self) -> Vec<KindReading> {
        let read = |(kind, sums): &(Arc<str>, KindSums)| KindReading {
            kind: Arc::clone(kind),
            sums: sums.clone(),
        };
        self.tally().kinds.iter().map(read).collect()
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tally {
    fn number(&mut self, kind: &str) -> KindNumber {
        if let Some(number) = self.numbers.get(kind) {
            return KindNumber(*number);
        }
        if self.kinds.len() >= MAX_KINDS && kind != OTHER {
            return self.number(OTHER);
        }
        let (name, number) = (Arc::<str>::from(kind), u16::try_from(self.kinds.len()));
        let number = number.unwrap_or(u16::MAX);
        self.kinds.push((Arc::clone(&name), KindSums::default()));
        self.numbers.insert(name, number);
        KindNumber(number)
    }

    fn add(&mut self, sample: Sample) {
        let (Sample::Waited(KindNumber(number), _)
        | Sample::Ended(KindNumber(number), ..)
        | Sample::Died(KindNumber(number))) = sample;
        let Some((_, sums)) = self.kinds.get_mut(usize::from(number)) else { return };
        match sample {
            Sample::Waited(_, micros) => sums.add_wait(micros),
            Sample::Ended(_, end, micros) => sums.add_attempt(end, micros),
            Sample::Died(_) => sums.add_death(),
        }
    }
}

#[cfg(test)]
mod tests {
    use poolder_core::Cause;

    use super::*;

    fn queue(name: &str) -> QueueName {
        QueueName::new(name).unwrap()
    }

    #[test]
    fn samples_are_counted_by_queue_and_kind_and_every_reader_sees_all() {
        let meter = Meter::default();
        let mail = meter.queue(&queue("mail"));
        let (welcome, digest) = (mail.number("welcome"), mail.number("digest"));
        assert_eq!(mail.number("welcome"), welcome);
        let mut samples = vec![
            Sample::Waited(welcome, 1_000),
            Sample::Ended(welcome, AttemptEnd::Done, Some(70)),
            Sample::Ended(digest, AttemptEnd::HandedBack, None),
            Sample::Died(digest),
        ];
        mail.add(&mut samples);
        assert!(samples.is_empty());
        let again = meter.queue(&queue("mail"));
        again.add_one(Sample::Ended(again.number("welcome"), AttemptEnd::Failed, Some(16)));
        Refusal::ALL.into_iter().for_each(|why| again.add_refusal(why));
        again.add_refusal(Refusal::Epoch);
        meter.queue(&queue("video"));
        for _ in 0..2 {
            let read = meter.read();
            let names: Vec<_> = read.iter().map(|read| &*read.queue).collect();
            assert_eq!(names, ["mail", "video"]);
            assert_eq!((read[0].refused, read[1].refused), ([1, 2], [0, 0]));
            let [welcome, digest] = &read[0].kinds[..] else { panic!("two kinds") };
            assert_eq!((&*welcome.kind, &*digest.kind), ("welcome", "digest"));
            assert_eq!(welcome.sums.ended(AttemptEnd::Done), 1);
            assert_eq!(welcome.sums.ended(AttemptEnd::Failed), 1);
            assert_eq!((welcome.sums.run_micros(), welcome.sums.wait_micros()), (86, 1_000));
            assert_eq!((digest.sums.died(), digest.sums.run_micros()), (1, 0));
        }
    }

    #[test]
    fn equal_errors_are_noted_once_until_they_are_taken() {
        let meter = Meter::default();
        let (mail, job) = (meter.queue(&queue("mail")), JobId::generate());
        for number in 0..3 {
            let failure = Failure::new(Cause::Error, format!("user {number} not found"));
            mail.add_error("welcome", job, &failure);
        }
        let taken = meter.take_errors();
        let [(_, 3, sample)] = &taken[..] else { panic!("{taken:?}") };
        let found = (&*sample.queue, &*sample.kind, &*sample.message);
        assert_eq!(found, ("mail", "welcome", "user 0 not found"));
        assert!(meter.take_errors().is_empty());
        for number in 0..1_000 {
            let letters = format!("{number:b}").replace('0', "x").replace('1', "y");
            mail.add_error("welcome", job, &Failure::new(Cause::Error, letters));
        }
        assert_eq!(meter.take_errors().len(), MAX_ERRORS);
    }

    #[test]
    fn invented_kinds_fill_no_memory() {
        let meter = QueueMeter::default();
        for number in 0..1_000 {
            let kind = meter.number(&format!("k{number}"));
            meter.add_one(Sample::Ended(kind, AttemptEnd::NotForUs, None));
        }
        let read = meter.read();
        assert_eq!(read.len(), MAX_KINDS + 1);
        let other = read.iter().find(|read| &*read.kind == OTHER).unwrap();
        assert_eq!(other.sums.ended(AttemptEnd::NotForUs), 800);
        assert_eq!(meter.unreadable(), meter.number(OTHER));
    }
}
