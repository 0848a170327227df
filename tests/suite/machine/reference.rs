//! The expected contents of Redis, in the simplest possible form.

use std::collections::{BTreeMap, BTreeSet};

/// The destination of a settled job, and the counter that the settlement increments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// The end of this lane.
    Lane(usize, &'static str),
    /// Waits until this time, in ms, then goes to the end of this lane.
    Due(i64, usize),
    Dead,
    Gone(&'static str),
}

/// An entry of a lane.
#[derive(Debug, Clone)]
struct Slot {
    job: usize,
    /// The id of the entry, once a consumer has claimed it.
    entry: Option<String>,
    holder: Option<usize>,
}

/// The expected state of a partition.
#[derive(Debug)]
pub(super) struct Reference {
    lanes: [Vec<Slot>; 5],
    groups: [bool; 5],
    due: BTreeMap<(i64, usize), usize>,
    dead: BTreeSet<usize>,
    counts: BTreeMap<String, u64>,
    /// Failures, crashes and deliveries of each job.
    numbers: Vec<[u64; 3]>,
    holder: Option<String>,
    term: u64,
    last_holder: String,
}

/// The state of a partition in a form that can be compared.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The jobs of each lane, in order, with the consumers that hold them.
    pub(super) lanes: Vec<Vec<(usize, Option<usize>)>>,
    pub(super) due: Vec<usize>,
    pub(super) bodies: usize,
    pub(super) dead: BTreeSet<usize>,
    pub(super) dead_bodies: usize,
    /// The number of jobs that wait for their next attempt.
    pub(super) retrying: u64,
    pub(super) counts: BTreeMap<String, u64>,
}

impl Default for Reference {
    fn default() -> Self {
        Self {
            lanes: Default::default(),
            groups: [true; 5],
            due: BTreeMap::new(),
            dead: BTreeSet::new(),
            counts: BTreeMap::new(),
            numbers: vec![],
            holder: None,
            term: 0,
            last_holder: String::new(),
        }
    }
}

impl Reference {
    /// Adds a new job.
    pub(super) fn store(&mut self, place: Place) {
        let job = self.numbers.len();
        self.numbers.push([0; 3]);
        let before = self.counts.clone();
        self.put(job, place);
        self.counts = before;
    }

    fn put(&mut self, job: usize, place: Place) {
        let counter = match place {
            Place::Lane(lane, counter) => {
                self.lanes[lane].push(Slot { job, entry: None, holder: None });
                counter
            }
            Place::Due(at, lane) => {
                self.due.insert((at, job), lane);
                "retried"
            }
            Place::Dead => {
                self.dead.insert(job);
                "buried"
            }
            Place::Gone(counter) => counter,
        };
        self.count(counter);
    }

    fn count(&mut self, counter: &str) {
        *self.counts.entry(counter.to_owned()).or_default() += 1;
    }

    /// Returns how many jobs of each lane no consumer holds.
    pub(super) fn depths(&self) -> [usize; 5] {
        self.lanes.each_ref().map(|lane| lane.iter().filter(|slot| slot.holder.is_none()).count())
    }

    /// Claims up to `count` jobs. If the group is missing, the claim only creates it and returns no
    /// jobs.
    pub(super) fn claim(&mut self, consumer: usize, lane: usize, count: usize) -> Vec<usize> {
        if !std::mem::replace(&mut self.groups[lane], true) {
            self.groups = [true; 5];
            return vec![];
        }
        let free = self.lanes[lane].iter_mut().filter(|slot| slot.holder.is_none()).take(count);
        free.map(|slot| {
            slot.holder = Some(consumer);
            slot.job
        })
        .collect()
    }

    pub(super) fn made_claim(&mut self, job: usize, entry: &str) {
        let slots = self.lanes.iter_mut().flatten().filter(|slot| slot.job == job);
        slots.for_each(|slot| slot.entry = Some(entry.to_owned()));
    }

    pub(super) fn numbers(&self, job: usize) -> [u64; 3] {
        self.numbers[job]
    }

    pub(super) fn has_group(&self, lane: usize) -> bool {
        self.groups[lane]
    }

    /// Makes every entry of the lane unclaimed.
    pub(super) fn destroy_group(&mut self, lane: usize) {
        self.groups[lane] = false;
        self.lanes[lane].iter_mut().for_each(|slot| slot.holder = None);
    }

    /// Ends a claim. Returns true when the settlement applies, `None` when the server cannot tell
    /// who holds the entry. `fast` completions do not check the holder: the entry must only exist.
    pub(super) fn settle(
        &mut self,
        claim: (usize, &str),
        owner: usize,
        place: Place,
        numbers: [u64; 3],
        fast: bool,
    ) -> Option<bool> {
        let (lane, entry) = claim;
        if !fast && !self.groups[lane] {
            return None;
        }
        let is_it = |slot: &Slot| slot.entry.as_deref() == Some(entry);
        let Some(at) = self.lanes[lane].iter().position(is_it) else { return Some(false) };
        if !fast && self.lanes[lane][at].holder != Some(owner) {
            return Some(false);
        }
        let job = self.lanes[lane].remove(at).job;
        self.numbers[job] = numbers;
        self.put(job, place);
        Some(true)
    }

    /// Moves due jobs to their lanes. Returns how many.
    pub(super) fn promote(&mut self, now: i64) -> u64 {
        let later = self.due.split_off(&(now.saturating_add(1), 0));
        let ripe = std::mem::replace(&mut self.due, later);
        for ((_, job), lane) in &ripe {
            self.lanes[*lane].push(Slot { job: *job, entry: None, holder: None });
        }
        ripe.len() as u64
    }

    pub(super) fn waits(&self) -> bool {
        !self.due.is_empty()
    }

    pub(super) fn prune(&mut self) -> u64 {
        std::mem::take(&mut self.dead).len() as u64
    }

    /// Returns whether `node` holds the lease afterwards, the term, and the holder.
    pub(super) fn lead(&mut self, node: &str, dead: Option<&str>) -> (bool, u64, &str) {
        let holder = self.holder.clone();
        match holder.as_deref() {
            Some(other) if other != node && Some(other) != dead => {
                return (false, self.term, &self.last_holder);
            }
            Some(other) if other == node => {}
            _ => self.term += 1,
        }
        self.holder = Some(node.to_owned());
        node.clone_into(&mut self.last_holder);
        (true, self.term, &self.last_holder)
    }

    pub(super) fn resign(&mut self, node: &str) {
        self.holder.take_if(|holder| holder == node);
    }

    pub(super) fn snapshot(&self) -> Snapshot {
        let lane = |lane: &Vec<Slot>| lane.iter().map(|slot| (slot.job, slot.holder)).collect();
        Snapshot {
            lanes: self.lanes.iter().map(lane).collect(),
            due: self.due.keys().map(|(_, job)| *job).collect(),
            bodies: self.due.len(),
            dead: self.dead.clone(),
            dead_bodies: self.dead.len(),
            retrying: self.due.keys().filter(|(_, job)| self.numbers[*job][0] > 0).count() as u64,
            counts: self.counts.clone(),
        }
    }
}
