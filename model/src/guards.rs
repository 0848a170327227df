//! The guards of the protocol, each a switch: with any one of them off the checker must find a
//! counterexample, or that guard is useless.

/// A rule of the protocol that prevents a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u16)]
pub enum Guard {
    /// `complete.lua` compares the history in which a job was claimed with the server's history.
    Epoch = 1,
    /// `complete.lua` reports a job as completed only if its entry still existed.
    Count = 1 << 1,
    /// `settle.lua` checks that the owner still holds the entry.
    Owner = 1 << 2,
    /// `settle.lua` checks that the entry contains the expected job.
    JobId = 1 << 3,
    /// `settle.lua` writes the destination before it removes the source.
    DestinationFirst = 1 << 4,
    /// `ack_missing.lua` checks again that an entry is missing before it acknowledges the claim.
    LookAgain = 1 << 5,
    /// `node_mark_dead.lua` marks a node as dead only if its last heartbeat is still the same.
    CompareAndSet = 1 << 6,
    /// `node_beat.lua` reports to a marked node that it is dead, and the node takes a new name.
    Sticky = 1 << 7,
    /// A node is marked as dead only when two beats in a row of another node have found it silent.
    TwoBeats = 1 << 8,
    /// A claimer adopts pending entries of its consumer that it does not know.
    Adoption = 1 << 9,
    /// A rescued job that returns to a lane gets a new entry id.
    NewEntry = 1 << 10,
    /// `consumer_remove.lua` removes only consumers that hold no entries.
    ForgetEmpty = 1 << 11,
    /// A node runs one suspect at a time, and holds no second one.
    OneSuspect = 1 << 12,
    /// A node claims only while its last acknowledged beat is fresh by its own clock.
    FreshBeat = 1 << 13,
    /// A node confirms deaths only after its own beats were acknowledged for longer than any other
    /// node takes to return to a server that was away.
    WholeBeats = 1 << 14,
}

/// The set of guards that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Guards(u16);

impl Guards {
    /// All guards, as in the real protocol.
    pub const ALL: Self = Self(u16::MAX);

    /// Returns all guards but one.
    #[must_use]
    pub fn without(guard: Guard) -> Self {
        Self(!(guard as u16))
    }

    /// Returns true when the guard is on.
    #[must_use]
    pub fn has(self, guard: Guard) -> bool {
        self.0 & guard as u16 != 0
    }
}
