//! The guards of the protocol, each a switch: with one of them off a counterexample must be found,
//! or it guards nothing.

/// Something that keeps the protocol right.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Guard {
    /// `complete.lua` compares the history in which a job was claimed with the server's.
    Epoch = 1,
    /// `complete.lua` takes only what is still there for completed.
    Count = 1 << 1,
    /// `move.lua` checks who holds an entry.
    Owner = 1 << 2,
    /// `move.lua` checks which job an entry holds.
    JobId = 1 << 3,
    /// `move.lua` writes the destination before it removes the source.
    DestinationFirst = 1 << 4,
    /// `ack_missing.lua` looks whether the entry is really gone before it ends a claim.
    LookAgain = 1 << 5,
    /// `node_mark_dead.lua` marks only who has not given a sign of life since.
    CompareAndSet = 1 << 6,
    /// `node_beat.lua` tells a marked node that it is dead, and it takes a new name.
    Sticky = 1 << 7,
    /// A node is dead only when two beats in a row have found it silent.
    TwoBeats = 1 << 8,
    /// A claimer takes in what the server thinks it holds and it knows nothing of.
    Adoption = 1 << 9,
    /// Re-adding a rescued job gives it a new entry id.
    NewEntry = 1 << 10,
    /// `consumer_remove.lua` removes only consumers that hold nothing.
    ForgetEmpty = 1 << 11,
    /// A node runs one suspect at a time, and does not keep a second one.
    OneSuspect = 1 << 12,
    /// A node claims only while its last acknowledged beat is fresh by its own clock.
    FreshBeat = 1 << 13,
}

/// Which guards are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards(u16);

impl Guards {
    /// As the real protocol.
    pub const ALL: Self = Self(u16::MAX);

    /// All but one.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self(!(guard as u16))
    }

    /// True when the guard is on.
    #[must_use]
    pub fn has(self, guard: Guard) -> bool {
        self.0 & guard as u16 != 0
    }
}
