//! The choice of a job's slot, and of the node that leases a slot. Pure, and part of the wire
//! format: producers in any language must compute the same results.
//!
//! ```text
//! hash(bytes)    FNV-1a of 64 bits, then the finalizer of MurmurHash3 (fmix64)
//! phash          jump consistent hash (Lamping and Veach) of hash(key)
//! rendezvous     the node with the highest hash(node "\n" queue "." slot) leases the slot
//! ```

use std::fmt;
use std::str::FromStr;

use crate::job::{Error, Partition, serialize_as_text};

/// The most slots a pool can have.
pub const MAX_SLOTS: u16 = 10_000;

/// The way in which the jobs of a pool are assigned to slots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Mode {
    /// All slots of all processes claim from one queue. Adding processes adds throughput.
    #[default]
    Shared,
    /// Each producer sends its jobs to the slots of the fleet one after another.
    RoundRobin,
    /// A random slot.
    Random,
    /// The slot whose number is the clock in milliseconds, modulo the number of slots.
    Monotonic,
    /// The slot is chosen by the job's key: all jobs of a key go to one slot, which runs them in
    /// order.
    Phash,
    /// Every live slot runs a copy of the job.
    Broadcast,
}

impl Mode {
    /// All modes.
    pub const ALL: [Self; 6] = [
        Self::Shared,
        Self::RoundRobin,
        Self::Random,
        Self::Monotonic,
        Self::Phash,
        Self::Broadcast,
    ];

    /// Returns the name of the mode.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::RoundRobin => "round_robin",
            Self::Random => "random",
            Self::Monotonic => "monotonic",
            Self::Phash => "phash",
            Self::Broadcast => "broadcast",
        }
    }

    /// Returns true when each job goes to one particular slot of the fleet.
    #[must_use]
    pub fn is_addressed(self) -> bool {
        matches!(self, Self::RoundRobin | Self::Random | Self::Monotonic | Self::Phash)
    }
}

serialize_as_text! { Mode }

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|mode| mode.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("{text:?} is not a mode: use one of {names}"))
        })
    }
}

/// The destination of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pick {
    /// Any free slot.
    Any,
    /// The slot with this number.
    One(u16),
    /// Every slot.
    All,
}

/// Picks a slot among `n` (1 or more). The meaning of `key` depends on the mode: the number of jobs
/// that the producer has sent before, a random number, the clock in milliseconds, or the [`hash`]
/// of the job's key.
///
/// ```
/// use poolder_core::policy::dispatch::{Mode, Pick, hash, pick};
///
/// assert_eq!(pick(Mode::RoundRobin, 12, 10), Pick::One(2));
/// assert_eq!(pick(Mode::Phash, hash(b"customer-7"), 1), Pick::One(0));
/// assert_eq!(pick(Mode::Broadcast, 0, 10), Pick::All);
/// ```
#[must_use]
pub fn pick(mode: Mode, key: u64, n: u16) -> Pick {
    let size = u64::from(n.max(1));
    let one = |slot: u64| Pick::One(u16::try_from(slot).unwrap_or(0));
    match mode {
        Mode::Shared => Pick::Any,
        Mode::RoundRobin | Mode::Monotonic => one(key % size),
        Mode::Random => one(((u128::from(key) * u128::from(size)) >> 64) as u64),
        Mode::Phash => one(jump(key, size)),
        Mode::Broadcast => Pick::All,
    }
}

/// Returns the hash of the bytes, as defined by the wire format.
#[must_use]
pub fn hash(bytes: &[u8]) -> u64 {
    let fnv = bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut mixed = fnv ^ (fnv >> 33);
    mixed = mixed.wrapping_mul(0xff51_afd7_ed55_8ccd);
    mixed ^= mixed >> 33;
    mixed = mixed.wrapping_mul(0xc4ce_b9fe_1a85_ec53);
    mixed ^ (mixed >> 33)
}

/// Returns the bucket of the key by jump consistent hash: when one bucket is added to n, one key in
/// n + 1 moves, and only to the new bucket.
fn jump(mut key: u64, buckets: u64) -> u64 {
    let (mut bucket, mut next) = (0_u64, 0_u64);
    while next < buckets {
        bucket = next;
        key = key.wrapping_mul(2_862_933_555_777_941_757).wrapping_add(1);
        let stride = (1_u64 << 31) as f64 / ((key >> 33) + 1) as f64;
        next = ((bucket + 1) as f64 * stride) as u64;
    }
    bucket
}

/// Returns the node that leases a slot, by rendezvous hashing. A node that joins takes slots over
/// but moves none between the other nodes; the slots of a node that leaves are spread over the
/// rest.
#[must_use]
pub fn holder<'a>(slot: &Partition, nodes: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    nodes.into_iter().max_by_key(|node| (hash(format!("{node}\n{slot}").as_bytes()), *node))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::QueueName;

    fn counts(mode: Mode, keys: impl Iterator<Item = u64>, n: u16) -> Vec<u64> {
        let mut counts = vec![0; usize::from(n)];
        for key in keys {
            let Pick::One(slot) = pick(mode, key, n) else { panic!("{mode} picks one") };
            counts[usize::from(slot)] += 1;
        }
        counts
    }

    /// Asserts that every count is within 4 σ of the mean.
    fn assert_fair(counts: &[u64]) {
        let (jobs, n) = (counts.iter().sum::<u64>() as f64, counts.len() as f64);
        let (mean, sigma) = (jobs / n, (jobs / n * (1.0 - 1.0 / n)).sqrt());
        for count in counts {
            assert!((*count as f64 - mean).abs() <= 4.0 * sigma, "{count} of {mean} ± {sigma}");
        }
    }

    /// Returns the numbers of SplitMix64 from a fixed seed.
    fn random() -> impl Iterator<Item = u64> {
        let mut state = 7_u64;
        std::iter::repeat_with(move || {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            mixed ^ (mixed >> 31)
        })
    }

    #[test]
    fn a_hundred_thousand_jobs_are_dealt_fairly() {
        let dealt = counts(Mode::RoundRobin, 0..100_000, 16);
        let (most, least) = (dealt.iter().max(), dealt.iter().min());
        assert!(most.zip(least).is_some_and(|(most, least)| most - least <= 1), "{dealt:?}");
        assert_fair(&counts(Mode::Random, random().take(100_000), 16));
        let keys = (0..100_000).map(|i| hash(format!("customer-{i}").as_bytes()));
        assert_fair(&counts(Mode::Phash, keys, 16));
    }

    #[test]
    fn the_hash_is_frozen() {
        assert_eq!(hash(b""), 0xefd0_1f60_ba99_2926);
        let slots: Vec<_> =
            ["a", "b", "customer-7"].map(|key| pick(Mode::Phash, hash(key.as_bytes()), 10)).into();
        assert_eq!(slots, [Pick::One(5), Pick::One(8), Pick::One(9)]);
    }

    #[test]
    fn a_slot_more_moves_few_keys_and_only_to_it() {
        let keys: Vec<u64> = random().take(10_000).collect();
        let moved = keys.iter().filter(|key| {
            let (before, after) = (pick(Mode::Phash, **key, 9), pick(Mode::Phash, **key, 10));
            assert!(before == after || after == Pick::One(9));
            before != after
        });
        let moved = moved.count();
        assert!((800..1_200).contains(&moved), "about a tenth: {moved}");
    }

    #[test]
    fn a_node_that_joins_or_leaves_moves_only_its_own_slots() {
        let queue = QueueName::new("q").unwrap();
        let slots: Vec<_> =
            (0..1_000).map(|index| Partition { queue: queue.clone(), index }).collect();
        let (before, after) = (["a", "b", "c"], ["a", "b", "c", "d"]);
        let mut moved = 0;
        for slot in &slots {
            let (then, now) = (holder(slot, before), holder(slot, after));
            assert!(then == now || now == Some("d"));
            moved += usize::from(then != now);
        }
        assert!((150..350).contains(&moved), "about a quarter: {moved}");
        assert_eq!(holder(&slots[0], []), None);
    }

    #[test]
    fn the_size_is_what_it_is_now_and_every_mode_has_a_name() {
        for mode in Mode::ALL {
            assert_eq!(mode.as_str().parse::<Mode>().unwrap(), mode);
            for n in [0, 1, 2, MAX_SLOTS] {
                for key in [0, 1, u64::MAX] {
                    if let Pick::One(slot) = pick(mode, key, n) {
                        assert!(slot < n.max(1), "{mode} {key} {n}: {slot}");
                    }
                }
            }
        }
        let error = "robin".parse::<Mode>().unwrap_err();
        assert!(error.to_string().contains("round_robin, random"), "{error}");
    }
}
