//! The record of a group of jobs of a limited queue.

/// The state of a group of a limited queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum GroupState {
    /// No job of the group waits.
    Empty,
    /// A job of the group starts when the group has its turn.
    Turn,
    /// As many jobs of the group run as its limit allows.
    Full,
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
}

impl GroupRecord {
    /// Reads a record; `None` for bytes that are no record.
    pub(in crate::broker) fn read(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; 26] = bytes.try_into().ok()?;
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte))
        };
        let small = |range| u32::try_from(number(range)).unwrap_or(u32::MAX);
        let state = match bytes[24] {
            0 => GroupState::Empty,
            1 => GroupState::Turn,
            2 => GroupState::Full,
            _ => return None,
        };
        let (head, tail, ticket) = (number(0..5), number(5..10), number(18..24));
        Some(Self { head, tail, waiting: small(10..14), running: small(14..18), ticket, state })
    }
}

impl GroupRecord {
    /// Returns whether the group should stand in the list of turns, whose least ticket is given, and
    /// does not.
    pub(in crate::broker) fn is_passed(&self, first: Option<u64>) -> bool {
        self.state == GroupState::Turn && first.is_none_or(|first| first > self.ticket)
    }
}
