//! The record of a group of jobs of a limited queue.

use std::fmt;

use serde::Serialize;

use crate::job::Timestamp;

/// The bytes of a record without times, and of one with them.
const SIZES: [usize; 2] = [26, 39];

/// The state of a group of a limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum GroupState {
    /// No job of the group waits.
    Empty,
    /// A job of the group starts when the group has its turn.
    #[serde(rename = "startable")]
    Turn,
    /// As many jobs of the group run as its limit allows.
    Full,
    /// A job of the group may start at a later time, by its rate or since the group is held.
    Later,
    /// An operator has paused the group: its jobs wait until it is resumed.
    Paused,
}

impl fmt::Display for GroupState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl GroupState {
    /// Returns the state as a word, as it is serialized.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Turn => "startable",
            Self::Full => "full",
            Self::Later => "later",
            Self::Paused => "paused",
        }
    }
}

/// The record of a group of a limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct GroupRecord {
    /// The number of the next job.
    pub head: u64,
    /// The number behind that of the last job.
    pub tail: u64,
    /// The number of jobs that wait.
    pub waiting: u32,
    /// The number of jobs that run.
    pub running: u32,
    /// The ticket under which the group stands in the list of turns.
    pub ticket: u64,
    /// The state.
    pub state: GroupState,
    /// The time until which the group is held; `None` for one that is not.
    pub held: Option<Timestamp>,
}

impl GroupRecord {
    /// Reads a record; `None` for bytes that are no record.
    pub(in crate::broker) fn read(bytes: &[u8]) -> Option<Self> {
        if !SIZES.contains(&bytes.len()) {
            return None;
        }
        let number = |range: std::ops::Range<usize>| {
            let bytes = bytes.get(range).unwrap_or_default();
            bytes.iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let small = |range| u32::try_from(number(range)).unwrap_or(u32::MAX);
        let state = match number(24..25) {
            0 => GroupState::Empty,
            1 => GroupState::Turn,
            2 => GroupState::Full,
            3 => GroupState::Later,
            4 => GroupState::Paused,
            _ => return None,
        };
        let (head, tail, ticket) = (number(0..5), number(5..10), number(18..24));
        let held = i64::try_from(number(33..39)).ok().filter(|held| *held > 0);
        Some(Self {
            head,
            tail,
            waiting: small(10..14),
            running: small(14..18),
            ticket,
            state,
            held: held.map(Timestamp::from_millis),
        })
    }
}

impl GroupRecord {
    /// Returns whether the group should stand in the list of turns, whose least ticket is given, and
    /// does not.
    pub(in crate::broker) fn is_passed(&self, first: Option<u64>) -> bool {
        self.state == GroupState::Turn && first.is_none_or(|first| first > self.ticket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_with_and_without_times_and_no_other_length_is() {
        let short = [&[0; 9][..], &[7], &[0, 0, 0, 2], &[0, 0, 0, 1], &[0; 6], &[3, 0]].concat();
        let record = GroupRecord::read(&short).unwrap();
        assert_eq!((record.tail, record.waiting, record.running), (7, 2, 1));
        assert_eq!((record.state, record.held), (GroupState::Later, None));
        let long = [&short[..], &[9; 7], &[0, 0, 0, 0, 1, 0]].concat();
        let held = GroupRecord::read(&long).unwrap().held;
        assert_eq!(held, Some(Timestamp::from_millis(256)));
        for cut in 0..long.len() {
            assert_eq!(GroupRecord::read(&long[..cut]).is_some(), cut == short.len(), "{cut}");
        }
    }
}
