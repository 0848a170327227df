//! The checked scenarios of addressed slots. Each allows other faults, so that every one of them
//! stays small enough to be visited completely.

use super::guards::SlotGuards;
use super::world::{SlotFaults, SlotScenario};

const NO_FAULTS: SlotFaults = SlotFaults {
    resizes: 0,
    handovers: 0,
    pauses: 0,
    crashes: 0,
    failovers: 0,
    lost_replies: 0,
    late_polls: 0,
    retries: 0,
    cancels: 0,
};

/// Two jobs of a key in a pool of one slot, which node 0 holds.
const ONE_SLOT: SlotScenario = SlotScenario {
    size: 1,
    top: 1,
    jobs: 2,
    staying: 0,
    due: 0,
    dead: 0,
    assigned: [0, 1],
    blocks: true,
    batch: 2,
    faults: NO_FAULTS,
    guards: SlotGuards::ALL,
};

/// Two jobs of a key in a pool of two slots. Node 0 holds the slot of the key.
const TWO_SLOTS: SlotScenario = SlotScenario { size: 2, top: 2, assigned: [1, 0], ..ONE_SLOT };

/// A node is killed, a reply is lost, a job is tried again.
pub const CRASH: SlotScenario = SlotScenario {
    faults: SlotFaults { crashes: 1, lost_replies: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// Replies are lost, the slot moves away and back, a job is tried again.
pub const LOST_REPLIES: SlotScenario = SlotScenario {
    faults: SlotFaults { lost_replies: 2, handovers: 2, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A poll arrives late, perhaps under a later lease of the same node.
pub const LATE_POLL: SlotScenario = SlotScenario {
    faults: SlotFaults { late_polls: 1, handovers: 2, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A node is paused past its lease, and a reply is lost.
pub const ZOMBIE: SlotScenario = SlotScenario {
    faults: SlotFaults { pauses: 1, lost_replies: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A node is paused past its lease, and a poll of it arrives late.
pub const ZOMBIE_AND_LATE_POLL: SlotScenario = SlotScenario {
    faults: SlotFaults { late_polls: 1, pauses: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// The job for which a slot waits is cancelled.
pub const CANCELLED: SlotScenario = SlotScenario {
    faults: SlotFaults { retries: 1, cancels: 1, handovers: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// Jobs of two keys are claimed together, one of them blocks the slot, and a node is killed.
pub const TWO_KEYS: SlotScenario = SlotScenario {
    jobs: 3,
    staying: 0b010,
    faults: SlotFaults { crashes: 1, lost_replies: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// The pool grows, a slot moves to the other node, a job is tried again.
pub const GROWS: SlotScenario = SlotScenario {
    faults: SlotFaults { resizes: 1, handovers: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// The pool shrinks, a slot moves to the other node, a job is tried again.
pub const SHRINKS: SlotScenario = SlotScenario {
    faults: SlotFaults { resizes: 1, handovers: 1, retries: 1, ..NO_FAULTS },
    ..TWO_SLOTS
};

/// The pool grows, a node is killed, a reply is lost.
pub const GROWS_AND_CRASH: SlotScenario = SlotScenario {
    faults: SlotFaults { resizes: 1, crashes: 1, lost_replies: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// The pool shrinks, a node is killed, a reply is lost.
pub const SHRINKS_AND_CRASH: SlotScenario = SlotScenario {
    faults: SlotFaults { resizes: 1, crashes: 1, lost_replies: 1, ..NO_FAULTS },
    ..TWO_SLOTS
};

/// The pool grows, and a node is paused past its lease.
pub const GROWS_AND_ZOMBIE: SlotScenario =
    SlotScenario { faults: SlotFaults { resizes: 1, pauses: 1, ..NO_FAULTS }, ..ONE_SLOT };

/// The pool shrinks, and a node is paused past its lease.
pub const SHRINKS_AND_ZOMBIE: SlotScenario =
    SlotScenario { faults: SlotFaults { resizes: 1, pauses: 1, ..NO_FAULTS }, ..TWO_SLOTS };

/// The pool grows and shrinks again, and a node is paused past its lease.
pub const RESIZED_TWICE: SlotScenario = SlotScenario {
    batch: 1,
    faults: SlotFaults { resizes: 2, pauses: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A delayed job of the key comes due at any time, while the pool grows and shrinks again and a
/// node is killed.
pub const DELAYED: SlotScenario = SlotScenario {
    due: 0b01,
    faults: SlotFaults { resizes: 2, crashes: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A job is delayed in a slot that goes out of service, a node is killed, a reply is lost.
pub const DELAYED_WHILE_SHRINKING: SlotScenario = SlotScenario {
    batch: 1,
    jobs: 1,
    due: 0b01,
    faults: SlotFaults { resizes: 1, crashes: 1, lost_replies: 1, ..NO_FAULTS },
    ..TWO_SLOTS
};

/// A delayed job moves, and a node is paused past its lease meanwhile.
pub const DELAYED_AND_ZOMBIE: SlotScenario = SlotScenario {
    batch: 1,
    jobs: 1,
    due: 0b01,
    faults: SlotFaults { resizes: 1, pauses: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A dead job is revived in a slot out of service, the pool grows, a node is killed, a reply is
/// lost.
pub const REVIVED: SlotScenario = SlotScenario {
    top: 2,
    dead: 0b01,
    jobs: 1,
    assigned: [1, 0],
    faults: SlotFaults { resizes: 1, crashes: 1, lost_replies: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A job that is tried again waits aside, while the pool shrinks and a slot moves.
pub const ASIDE: SlotScenario = SlotScenario {
    blocks: false,
    faults: SlotFaults { resizes: 1, retries: 1, handovers: 1, ..NO_FAULTS },
    ..TWO_SLOTS
};

/// A failover, while the slot moves and a reply is lost.
pub const FAILOVER: SlotScenario = SlotScenario {
    faults: SlotFaults { failovers: 1, handovers: 1, lost_replies: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A failover, a node that is killed, and a job that is tried again.
pub const FAILOVER_AND_CRASH: SlotScenario = SlotScenario {
    batch: 1,
    faults: SlotFaults { failovers: 1, crashes: 1, retries: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A failover, and a node that is paused past its lease.
pub const FAILOVER_AND_ZOMBIE: SlotScenario = SlotScenario {
    batch: 1,
    faults: SlotFaults { failovers: 1, pauses: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A failover while the slots drain after the pool has grown.
pub const FAILOVER_WHILE_GROWING: SlotScenario = SlotScenario {
    batch: 1,
    jobs: 1,
    faults: SlotFaults { failovers: 1, resizes: 1, ..NO_FAULTS },
    ..ONE_SLOT
};

/// A failover while the slots drain, or one of them retires.
pub const FAILOVER_WHILE_SHRINKING: SlotScenario = SlotScenario {
    batch: 1,
    jobs: 1,
    faults: SlotFaults { failovers: 1, resizes: 1, ..NO_FAULTS },
    ..TWO_SLOTS
};
