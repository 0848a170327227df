//! The reference of the walks over unique jobs: what is known about each job and each key.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder::{JobId, Unique, UniqueMode};

pub(super) const HOUR: Duration = Duration::from_secs(3600);
pub(super) const MODES: [UniqueMode; 5] = [
    UniqueMode::UntilDone,
    UniqueMode::UntilStart,
    UniqueMode::Window,
    UniqueMode::Debounce,
    UniqueMode::KeepLast,
];

/// A key of the walk: its rule, and a number.
pub(super) type Key = (UniqueMode, u64);

/// Numbers that look random and are the same in every run.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end
    }

    pub(super) fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum At {
    Lane,
    Due,
    /// Waits behind the holder of its key.
    Behind,
    Claimed,
    Dead,
    Gone,
}

#[derive(Debug, Clone)]
pub(super) struct Known {
    pub(super) id: JobId,
    pub(super) key: Key,
    /// The number in the payload: that of the enqueue whose data the job has.
    pub(super) data: u64,
    pub(super) at: At,
    pub(super) started: bool,
    /// Whether an attempt has failed.
    pub(super) tried: bool,
    pub(super) cancelling: bool,
    pub(super) named: bool,
    /// Whether an operator has released its key.
    pub(super) released: bool,
}

impl Known {
    pub(super) fn is_alive(&self) -> bool {
        !matches!(self.at, At::Dead | At::Gone)
    }

    pub(super) fn waits(&self) -> bool {
        matches!(self.at, At::Lane | At::Due | At::Behind)
    }
}

/// What is known: the jobs, who holds each key and who waits behind, and the newest data of a key.
#[derive(Default)]
pub(super) struct Reference {
    pub(super) jobs: Vec<Known>,
    pub(super) holders: BTreeMap<Key, usize>,
    pub(super) behind: BTreeMap<Key, usize>,
    pub(super) newest: BTreeMap<Key, u64>,
}

impl Reference {
    /// Frees the key of a job that has ended, a window only when an operator ends it; the one that
    /// waits behind takes it.
    pub(super) fn free(&mut self, at: usize, by_operator: bool) {
        let key = self.jobs[at].key;
        if self.behind.get(&key) == Some(&at) {
            self.behind.remove(&key);
            if let Some(holder) = self.holders.get(&key) {
                self.newest.insert(key, self.jobs[*holder].data);
            }
        }
        if self.holders.get(&key) != Some(&at) || !by_operator && key.0 == UniqueMode::Window {
            return;
        }
        self.holders.remove(&key);
        if let Some(next) = self.behind.remove(&key) {
            self.jobs[next].at = At::Due;
            self.holders.insert(key, next);
        }
    }

    /// Checks that no key has more jobs than its rule allows, and that the newest data comes last.
    pub(super) fn check(&self) {
        for key in self.jobs.iter().map(|job| job.key) {
            let alive = |job: &&Known| job.key == key && job.is_alive() && !job.released;
            let alive: Vec<&Known> = self.jobs.iter().filter(alive).collect();
            let behind = alive.iter().filter(|job| job.at == At::Behind).count();
            let counted = match key.0 {
                UniqueMode::UntilDone | UniqueMode::KeepLast => alive.len() - behind,
                UniqueMode::UntilStart => alive.iter().filter(|job| !job.started).count(),
                _ => 0,
            };
            assert!(counted <= 1 && behind <= 1, "{alive:?}");
            if key.0 == UniqueMode::KeepLast {
                let last = self.behind.get(&key).or(self.holders.get(&key));
                let data = last.map(|at| self.jobs[*at].data);
                assert!(data.is_none() || data == self.newest.get(&key).copied(), "{alive:?}");
            }
        }
    }
}

pub(super) fn rule(mode: UniqueMode) -> Unique {
    match mode {
        UniqueMode::UntilStart => Unique::until_start(),
        UniqueMode::Window => Unique::window(HOUR),
        UniqueMode::Debounce => Unique::debounce(HOUR).at_most(HOUR * 3),
        UniqueMode::KeepLast => Unique::keep_last(),
        _ => Unique::until_done(),
    }
}
