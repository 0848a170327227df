//! The option of a unique job: its mode, its key, and the time for which it holds the key.
//!
//! ```text
//! offset  bytes  content
//! 0       1      mode: 1 until done, 2 until start, 3 window, 4 debounce, 5 keep last
//! 1       12     key
//! 13      6      time in ms for which the job holds the key beyond its due time (big endian)
//! ```
//! Scripts find the key by the name of the option and the length of this form, so a node that reads
//! another length or mode leaves the job to others.

use std::fmt;
use std::time::Duration;

use serde::de::{Deserialize, Deserializer, Visitor};
use serde::ser::{Serialize, Serializer};

use crate::job::{
    JobId, Timestamp, Unique, UniqueKey, UniqueMode, clamped_duration, clamped_millis,
};
use crate::policy::Counters;

/// The number of bytes of the stored form.
const STORED: usize = 19;
/// The most bytes that are read. More are an option that no version has written.
const MOST: usize = 256;

/// The due time of a job that waits behind the one that holds its key: the latest in 48 bits.
/// `unique/next.lua` has the same.
pub(crate) const BEHIND: Timestamp = Timestamp::from_millis((1 << 48) - 1);

/// The option as it is stored, which a later version may have written in another form.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct StoredUnique(Vec<u8>);

/// A key that a job takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct KeyHold {
    pub(crate) mode: UniqueMode,
    pub(crate) key: UniqueKey,
    pub(crate) hold: Duration,
}

impl StoredUnique {
    /// Returns the stored form of a rule for a job with this key.
    pub(crate) fn of(rule: &Unique, key: UniqueKey) -> Self {
        let hold = clamped_millis(rule.hold()).to_be_bytes();
        Self([&[rule.mode().number()][..], key.as_bytes(), &hold[2..]].concat())
    }

    /// Returns the key that the job takes; `None` for a form of a later version.
    pub(crate) fn read(&self) -> Option<KeyHold> {
        let bytes: &[u8; STORED] = self.0.as_slice().try_into().ok()?;
        let mode = UniqueMode::of_number(bytes[0])?;
        let (mut key, mut millis) = ([0; 12], [0; 8]);
        key.copy_from_slice(&bytes[1..13]);
        millis[2..].copy_from_slice(&bytes[13..]);
        let hold = clamped_duration(u64::from_be_bytes(millis));
        Some(KeyHold { mode, key: UniqueKey::from_bytes(key), hold })
    }
}

/// Returns the generation of a job as scripts compare it with the record of a key: 6 bytes, or none
/// for an id that is given to one job only.
pub(crate) fn since(id: JobId, counters: &Counters) -> Vec<u8> {
    match counters.generation().filter(|_| !id.is_generated()) {
        Some(began) => began.millis().to_be_bytes()[2..].to_vec(),
        None => vec![],
    }
}

impl Serialize for StoredUnique {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredUnique {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        struct Bytes;
        impl Visitor<'_> for Bytes {
            type Value = StoredUnique;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "at most {MOST} bytes of a unique job")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<StoredUnique, E> {
                match bytes.len() {
                    0..=MOST => Ok(StoredUnique(bytes.to_vec())),
                    longer => Err(E::invalid_length(longer, &self)),
                }
            }
        }
        reader.deserialize_bytes(Bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_stored_is_read_back_and_other_forms_are_left_to_later_versions() {
        let rule = Unique::until_done();
        let key = rule.key("k", b"").unwrap();
        let stored = StoredUnique::of(&rule, key);
        let hold = Duration::from_secs(24 * 60 * 60);
        assert_eq!(stored.read(), Some(KeyHold { mode: UniqueMode::UntilDone, key, hold }));
        let longest = StoredUnique::of(&Unique::window(Duration::MAX), key).read().unwrap();
        assert_eq!(clamped_millis(longest.hold), clamped_millis(Duration::MAX));
        let mut later = stored.0.clone();
        later[0] = 9;
        assert_eq!(StoredUnique(later).read(), None);
        for length in [0, 18, 20] {
            assert_eq!(StoredUnique(vec![1; length]).read(), None);
        }
    }
}
