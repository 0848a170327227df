//! The checked scenarios. Each allows other faults, so that every one of them stays small enough to
//! be visited completely.

use crate::guards::Guards;
use crate::world::{Faults, Scenario};

const NO_FAULTS: Faults = Faults {
    pauses: 0,
    failovers: 0,
    lost_replies: 0,
    crashes: 0,
    outages: 0,
    clock_jumps: 0,
    refusals: 0,
    late_claims: 0,
    failures: 0,
};

const TWO_NODES: Scenario = Scenario {
    nodes: 2,
    slots: 2,
    killers: 0,
    restarts: 0,
    faults: NO_FAULTS,
    heartbeats: true,
    guards: Guards::ALL,
};

/// Replies to claims and settlements are lost.
pub const LOST_REPLIES: Scenario =
    Scenario { faults: Faults { lost_replies: 2, ..NO_FAULTS }, ..TWO_NODES };

/// A node is killed, a handler fails, a reply is lost, a destination cannot be written.
pub const CRASH: Scenario = Scenario {
    faults: Faults { crashes: 1, failures: 1, lost_replies: 1, refusals: 1, ..NO_FAULTS },
    ..TWO_NODES
};

/// A node is paused past its lease, and wakes up late or never.
pub const ZOMBIE: Scenario = Scenario { faults: Faults { pauses: 1, ..NO_FAULTS }, ..TWO_NODES };

/// A node of three is paused past its lease, and a node is killed.
pub const ZOMBIE_OF_THREE: Scenario = Scenario {
    nodes: 3,
    slots: 1,
    heartbeats: false,
    faults: Faults { pauses: 1, crashes: 1, ..NO_FAULTS },
    ..TWO_NODES
};

/// A node is paused past its lease, and a late claim reaches the server under its name.
pub const LATE_CLAIM: Scenario = Scenario {
    heartbeats: false,
    faults: Faults { pauses: 1, late_claims: 1, ..NO_FAULTS },
    ..TWO_NODES
};

/// A replica takes over that lacks a suffix of the history, so that entry ids repeat.
pub const FAILOVER: Scenario =
    Scenario { faults: Faults { failovers: 1, ..NO_FAULTS }, ..TWO_NODES };

/// A failover, with a lost reply and a failed attempt.
pub const FAILOVER_AND_LOST_REPLY: Scenario = Scenario {
    heartbeats: false,
    faults: Faults { failovers: 1, lost_replies: 1, failures: 1, ..NO_FAULTS },
    ..TWO_NODES
};

/// A failover, and a node that is paused past its lease.
pub const FAILOVER_AND_ZOMBIE: Scenario = Scenario {
    slots: 1,
    heartbeats: false,
    faults: Faults { failovers: 1, pauses: 1, ..NO_FAULTS },
    ..TWO_NODES
};

/// The server is unreachable for longer than any lease, twice.
pub const OUTAGE: Scenario = Scenario { faults: Faults { outages: 2, ..NO_FAULTS }, ..TWO_NODES };

/// The server's clock jumps ahead, once: a second jump within two beats would look like silence.
pub const CLOCK_JUMP: Scenario =
    Scenario { faults: Faults { clock_jumps: 1, ..NO_FAULTS }, ..TWO_NODES };

/// Job 1 kills each process that runs it, job 0 does not.
pub const KILLER: Scenario =
    Scenario { killers: 0b10, restarts: 2, heartbeats: false, ..TWO_NODES };
