//! The guards of addressed slots, each a switch.

/// A rule of the protocol that prevents a violation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SlotGuard {
    /// `slot_acquire.lua` takes a slot from no holder but a dead one.
    LivingHolder,
    /// A node that may hold a slot, since a reply was lost, acquires it even to leave it.
    Doubt,
    /// `slot_poll.lua` compares the term of the lease.
    Term,
    /// `slot_poll.lua` does not claim for a poll that its holder has given up.
    PollNumber,
    /// `slot_poll.lua` completes only entries that are pending.
    PendingOnly,
    /// After a failed poll completions go through `settle.lua`, which compares the job.
    ByJob,
    /// After a failed poll the next one looks for claims that the holder does not know.
    LookForClaims,
    /// A poll that looks for claims returns all of them together.
    FoundTogether,
    /// A holder looks for claims that it does not know now and again, not only after a failed poll.
    Audit,
    /// A slot repeats a report that was accepted, until it has an effect.
    ReportAgain,
    /// A node releases a slot of which it is the holder and does not know it.
    ForgottenLease,
    /// `settle.lua` compares the job of an entry.
    SameJob,
    /// `settle.lua` compares the lease of a settlement, and the owner of the claim. Here each of the
    /// two suffices without the other: only the holder of a slot claims.
    SameHolder,
    /// A new holder takes back the jobs of earlier ones before it serves the slot.
    RescueFirst,
    /// A rescue takes back the entries that the node itself holds from an earlier lease.
    RescueOwn,
    /// A holder rescues the jobs of earlier holders once more later.
    RescueAgain,
    /// A rescue whose settlement is refused ends the service: the server does not know the lease.
    RescueEnds,
    /// `settle.lua` moves the entries that wait in the front behind a job that returns there.
    FrontOrder,
    /// No job of a key starts before the completion of the one before is settled.
    KeyWaits,
    /// A job that blocks its slot takes the jobs claimed behind it along.
    Blocks,
    /// The hold of a slot ends with the entry of the job that waits.
    HoldEntry,
    /// A node that was paused starts no job before its next heartbeat.
    LiveBeat,
    /// Jobs of a new generation wait until every slot has run those from before it.
    OpenPool,
    /// The first cast of a generation records the edge between the generations.
    EdgeByCast,
    /// `slot_cast.lua` refuses a producer that knows an older generation than the slot.
    StaleCast,
    /// A node whose view of the pool is older than that of the slot claims nothing.
    ViewAge,
    /// `pool_report.lua` compares the generation of a report.
    ReportAge,
    /// `pool_resize.lua` refuses a resize while slots drain after the one before.
    OneResize,
    /// Reports of slots that are new in a generation do not count.
    NewSlots,
    /// `pool_report.lua` retires no slot while the pool drains.
    RetireOpen,
    /// A slot retires only if no job waits for its time.
    NothingDue,
    /// A slot retires only after a second empty poll behind the count of jobs that wait.
    EmptyAgain,
    /// A slot retires only when all producers know of the resize.
    ResizeKnown,
    /// Nodes look for late jobs in slots out of service.
    LateJobs,
    /// A job in a slot to which its key does not belong moves instead of running.
    Relocate,
    /// While the pool drains, the size from before the resize decides to which slot a key belongs.
    SizeBefore,
    /// While the pool drains, as the node knows it, a job from the front is run or moved only by a
    /// view of the pool that was read after its claim.
    FreshView,
    /// A later holder goes on with a recorded move, wherever the key of the job belongs by then.
    ResumeMove,
    /// `slot_move.lua` compares the lease.
    MoveLease,
    /// The record of a move holds for later holders.
    MoveRecorded,
    /// A move is stored once under its receipt.
    MoveReceipt,
    /// The settlement of a move removes its record.
    EndMove,
}

/// The set of guards that are on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SlotGuards(u64);

impl SlotGuards {
    /// All guards, as in the real protocol.
    pub const ALL: Self = Self(u64::MAX);

    /// Returns these guards but one.
    #[must_use]
    pub const fn without(self, guard: SlotGuard) -> Self {
        Self(self.0 & !(1 << guard as u8))
    }

    /// Returns true when the guard is on.
    #[must_use]
    pub const fn has(self, guard: SlotGuard) -> bool {
        self.0 & 1 << guard as u8 != 0
    }
}
