//! The part of the counters that few jobs have: the attempts so far of a job that failed, the
//! generation of a job whose id is derived from a name, the beginning of one that expires, and
//! everything that a later version has added.

use crate::job::Error;
use crate::job::packed::{Form, Items, MapEntry, Unknown};
use crate::policy::attempt::Attempt;

/// The entry of the map that holds the attempts.
const ATTEMPTS: &str = "a";
/// The stored form of [`ATTEMPTS`].
const ATTEMPTS_KEY: &[u8] = b"\xa1a";

/// The entry of the map that holds the generation, and its stored form up to the number.
const GENERATION: &str = "g";
const GENERATION_KEY: &[u8] = b"\xa1g\xcf";

/// The entry of the map that holds how often in a row the job met a limit, and its stored form up to the
/// number.
const LIMITED: &str = "l";
const LIMITED_KEY: &[u8] = b"\xa1l\xce";
/// The entry of the map that says that an attempt has begun, and its stored form.
const BEGUN: &str = "b";
const BEGUN_ENTRY: &[u8] = b"\xa1b\xc3";

/// The first and the last attempts are kept, this many of each.
const KEPT: usize = 7;

/// The most bytes of all attempts.
const MAX_ATTEMPTS: usize = 2048;

/// The most bytes of everything that this version does not know.
const MAX_UNKNOWN: usize = 4096;

/// The seventh element of the stored counters, a map, and the elements after it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct StoredHistory {
    /// The stored forms of the attempts, the first attempt first.
    attempts: Vec<Vec<u8>>,
    /// The time of the enqueue or of the last revival in milliseconds, by the server's clock; `None`
    /// for a generated id.
    pub(super) generation: Option<u64>,
    /// How often the attempts of the job have met a limit of another system since one has failed.
    pub(super) limited: u32,
    /// True once an attempt has begun of a job that does not start after a time.
    pub(super) begun: bool,
    /// The entries of the map that this version does not know.
    entries: Unknown,
    /// The elements after the map.
    elements: Unknown,
}

impl StoredHistory {
    /// Reads the elements of the counters that are left: the map, and the elements after it. Returns
    /// `None` when there are none, or when they are empty.
    ///
    /// # Errors
    /// [`Error::is_codec`] when the map cannot be read, and when more is unknown than may be kept.
    pub(super) fn read(items: &mut Items<'_>) -> Result<Option<Box<Self>>, Error> {
        if items.left() == 0 {
            return Ok(None);
        }
        let mut read = Self::default();
        let mut map = Items::new(Form::Map, items.skip()?)?;
        let mut found = false;
        while map.left() > 0 {
            let MapEntry { key, value, bytes } = map.entry()?;
            if key == GENERATION {
                let number = rmp_serde::from_slice(value)
                    .map_err(|error| Error::codec(format!("the generation: {error}")))?;
                if read.generation.replace(number).is_some() {
                    return Err(Error::codec("the generation occurs twice"));
                }
                continue;
            }
            if key == LIMITED {
                let number = rmp_serde::from_slice(value)
                    .map_err(|error| Error::codec(format!("the limits met: {error}")))?;
                if std::mem::replace(&mut read.limited, number) > 0 {
                    return Err(Error::codec("the limits met occur twice"));
                }
                continue;
            }
            if key == BEGUN {
                read.begun = rmp_serde::from_slice(value)
                    .map_err(|error| Error::codec(format!("whether it has begun: {error}")))?;
                continue;
            }
            if key != ATTEMPTS {
                read.entries.push(bytes);
                continue;
            }
            if std::mem::replace(&mut found, true) {
                return Err(Error::codec("the attempts occur twice"));
            }
            let mut stored = Items::new(Form::Array, value)?;
            while stored.left() > 0 {
                read.push(stored.skip()?.to_vec());
            }
        }
        while items.left() > 0 {
            read.elements.push(items.skip()?);
        }
        if read.entries.bytes.len() + read.elements.bytes.len() > MAX_UNKNOWN {
            return Err(Error::codec(format!(
                "a later version added more than {MAX_UNKNOWN} bytes"
            )));
        }
        Ok((read != Self::default()).then(|| Box::new(read)))
    }

    /// Adds an attempt.
    pub(super) fn add(&mut self, attempt: &Attempt) {
        self.push(attempt.encode());
    }

    /// Adds the stored form of an attempt, and drops attempts from the middle until the others fit.
    fn push(&mut self, attempt: Vec<u8>) {
        if self.attempts.len() == 2 * KEPT {
            self.attempts.remove(KEPT);
        }
        self.attempts.push(attempt);
        while self.attempts.iter().map(Vec::len).sum::<usize>() > MAX_ATTEMPTS {
            self.attempts.remove(self.attempts.len() / 2);
        }
    }

    /// Returns the attempts that this version can read, the first one first.
    pub(super) fn attempts(&self) -> Vec<Attempt> {
        self.attempts.iter().filter_map(|stored| Attempt::decode(stored).ok()).collect()
    }

    /// Returns true when an attempt is known to have begun.
    pub(super) fn has_begun(&self) -> bool {
        self.begun || !self.attempts.is_empty()
    }

    /// Returns the number of elements that [`write`](Self::write) appends.
    pub(super) fn len(&self) -> usize {
        1 + self.elements.count
    }

    /// Appends the elements to an array of counters.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        let attempts = !self.attempts.is_empty();
        let limited = self.limited > 0;
        let known = [attempts, self.begun, limited, self.generation.is_some()].map(usize::from);
        let known: usize = known.iter().sum();
        Form::Map.write_header(known + self.entries.count, out);
        if attempts {
            out.extend(ATTEMPTS_KEY);
            Form::Array.write_header(self.attempts.len(), out);
            self.attempts.iter().for_each(|attempt| out.extend(attempt));
        }
        if limited {
            out.extend(LIMITED_KEY);
            out.extend(self.limited.to_be_bytes());
        }
        if self.begun {
            out.extend(BEGUN_ENTRY);
        }
        if let Some(generation) = self.generation {
            // Always eight bytes, so that `enqueue.lua` can put its time in.
            out.extend(GENERATION_KEY);
            out.extend(generation.to_be_bytes());
        }
        out.extend(&self.entries.bytes);
        out.extend(&self.elements.bytes);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::job::{Cause, Failure, Timestamp};
    use crate::policy::Facts;

    fn attempt(number: i64) -> Attempt {
        let (now, took) = (Timestamp::from_millis(number), Duration::from_millis(1));
        let facts = Facts { now, took, node: "n1", jitter: 0.0 };
        Attempt::new(&Failure::new(Cause::Error, "no"), facts)
    }

    fn read(elements: &[&[u8]]) -> Result<Option<Box<StoredHistory>>, Error> {
        let mut array = vec![];
        Form::Array.write_header(elements.len(), &mut array);
        array.extend(elements.concat());
        StoredHistory::read(&mut Items::new(Form::Array, &array).unwrap())
    }

    fn written(history: &StoredHistory) -> Vec<u8> {
        let mut out = vec![];
        history.write(&mut out);
        out
    }

    #[test]
    fn the_first_and_the_last_seven_attempts_are_kept() {
        let mut history = StoredHistory::default();
        (1..=20).for_each(|number| history.add(&attempt(number)));
        let kept: Vec<i64> = history.attempts().iter().map(|it| it.at.millis()).collect();
        assert_eq!(kept, [1, 2, 3, 4, 5, 6, 7, 14, 15, 16, 17, 18, 19, 20]);
        let again = read(&[&written(&history)]).unwrap().unwrap();
        assert_eq!(*again, history);
    }

    #[test]
    fn large_attempts_of_another_writer_are_dropped_from_the_middle() {
        let large = |number: u8| [&[0x92, number, 0xc5, 0x02, 0x00][..], &[0; 512]].concat();
        let attempts: Vec<Vec<u8>> = (0..9).map(large).collect();
        let map = [b"\x81\xa1a\x99", attempts.concat().as_slice()].concat();
        let history = read(&[&map]).unwrap().unwrap();
        let numbers: Vec<u8> = history.attempts.iter().map(|stored| stored[1]).collect();
        assert_eq!(numbers, [0, 1, 8], "of 517 bytes each");
        assert!(history.attempts().is_empty(), "this version cannot read them");
        assert_eq!(*read(&[&written(&history)]).unwrap().unwrap(), *history);
    }

    #[test]
    fn the_unknown_is_kept_as_it_was() {
        let (map, more) = (&b"\x82\xd9\x02zz\xcd\0\x07\xa1Z\xc4\x01x"[..], &b"\xd4\x05\x09"[..]);
        let mut history = read(&[map, more, b"\xc0"]).unwrap().unwrap();
        assert_eq!((written(&history), history.len()), ([map, more, b"\xc0"].concat(), 3));
        history.add(&attempt(1));
        let bytes = written(&history);
        assert!(bytes.starts_with(b"\x83\xa1a\x91"));
        assert!(bytes.ends_with(&[&map[1..], more, b"\xc0"].concat()));
        assert_eq!(read(&[b"\x80"]).unwrap(), None);
    }

    #[test]
    fn what_is_no_history_or_too_large_is_refused() {
        let large = [&b"\xc5\x10\x00"[..], &[0; 0x1000]].concat();
        let bad: [&[&[u8]]; 5] = [
            &[b"\xc0"],
            &[b"\x91\xc0"],
            &[b"\x81\x01\xc0"],
            &[b"\x82\xa1a\x90\xa1a\x90"],
            &[b"\x80", &large],
        ];
        for elements in bad {
            assert!(read(elements).is_err_and(|error| error.is_codec()));
        }
    }
}
