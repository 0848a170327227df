//! The layers of each crate.

use super::{Crate, Layer};

pub(super) const CRATES: &[Crate] = &[
    Crate { name: "poolder-core", layers: CORE, exceptions: CORE_EXCEPTIONS, in_circles: 11 },
    Crate { name: "poolder-worker", layers: WORKER, exceptions: WORKER_EXCEPTIONS, in_circles: 22 },
    Crate { name: "poolder-client", layers: CLIENT, exceptions: CLIENT_EXCEPTIONS, in_circles: 7 },
];

const CORE: &[Layer] = &[
    Layer { name: "mutation", holds: &["mutation"], imports: &[] },
    Layer {
        name: "job",
        holds: &[
            "error",
            "time",
            "job",
            "queue",
            "outcome",
            "retry",
            "state",
            "handle",
            "schedule/tick",
        ],
        imports: &["mutation"],
    },
    Layer {
        name: "policy",
        holds: &["decide", "dispatch", "counters"],
        imports: &["mutation", "job"],
    },
    Layer {
        name: "stored",
        holds: &["envelope", "wire", "variant", "end"],
        imports: &["mutation", "job", "policy"],
    },
    Layer {
        name: "schedule",
        holds: &["schedule"],
        imports: &["mutation", "job", "policy", "stored"],
    },
    Layer {
        name: "view",
        holds: &["view"],
        imports: &["mutation", "job", "policy", "stored", "schedule"],
    },
    Layer { name: "broker/keys", holds: &["keys", "scripts"], imports: &["mutation", "job"] },
    // A connection knows no job.
    Layer {
        name: "broker/connection",
        holds: &[
            "broker/mod.rs",
            "broker/config",
            "broker/whereabouts",
            "broker/tls",
            "broker/route",
            "broker/send",
            "broker/link",
            "broker/bunch",
            "broker/reply",
            "broker/failure",
        ],
        imports: &["mutation", "job", "broker/keys"],
    },
    Layer {
        name: "broker/fleet",
        holds: &[
            "broker/roster",
            "broker/lease",
            "broker/orders",
            "broker/control",
            "broker/group",
        ],
        imports: BELOW_FLEET,
    },
    Layer {
        name: "broker/jobs",
        holds: &[
            "broker/enqueue",
            "broker/claim",
            "broker/settle",
            "broker/promote",
            "broker/rescue",
            "broker/ends",
            "broker/progress",
            "broker/durability",
        ],
        imports: BELOW_JOBS,
    },
    Layer {
        name: "broker/addressed",
        holds: &["broker/addressed", "broker/slot_lease", "broker/slot_view", "broker/broadcast"],
        imports: BELOW_FEATURES,
    },
    Layer { name: "broker/batch", holds: &["broker/batch"], imports: BELOW_FEATURES },
    Layer { name: "broker/schedule", holds: &["broker/schedule"], imports: BELOW_FEATURES },
    Layer {
        name: "broker/admin",
        holds: &[
            "broker/check",
            "broker/find",
            "broker/inspect",
            "broker/pages",
            "broker/cancel",
            "broker/pause",
            "broker/remove",
            "broker/revive",
            "broker/reschedule",
        ],
        imports: BELOW_ADMIN,
    },
];

/// All layers below `broker/admin`, the lowest first.
const BELOW_ADMIN: &[&str] = &[
    "mutation",
    "job",
    "policy",
    "stored",
    "schedule",
    "view",
    "broker/keys",
    "broker/connection",
    "broker/fleet",
    "broker/jobs",
    "broker/addressed",
    "broker/batch",
    "broker/schedule",
];
const BELOW_FLEET: &[&str] = first(BELOW_ADMIN, 8);
const BELOW_JOBS: &[&str] = first(BELOW_ADMIN, 9);
/// Addressed slots, batches and schedules do not import each other.
const BELOW_FEATURES: &[&str] = first(BELOW_ADMIN, 10);

const CORE_EXCEPTIONS: &[(&str, &str)] = &[
    ("handle.rs", "wire.rs"),
    ("outcome.rs", "envelope.rs"),
    ("broker/mod.rs", "broker/claim.rs"),
    ("broker/reply.rs", "wire.rs"),
    ("broker/promote.rs", "broker/batch/timer.rs"),
    ("broker/settle.rs", "broker/batch.rs"),
    ("broker/settle.rs", "broker/slot_lease.rs"),
];

const WORKER: &[Layer] = &[
    Layer { name: "process", holds: &["vitals", "orders", "addressed/turnstile"], imports: &[] },
    Layer {
        name: "run",
        holds: &[
            "mould",
            "slot",
            "desk",
            "sinks",
            "erased",
            "guard",
            "middleware",
            "context",
            "worker",
            "pool",
        ],
        imports: &["process"],
    },
    Layer { name: "services", holds: &["services", "commons"], imports: &["process", "run"] },
    Layer { name: "sources/shared", holds: &["claimer"], imports: BELOW_SOURCES },
    Layer { name: "sources/addressed", holds: &["addressed"], imports: BELOW_SOURCES },
    Layer { name: "sources/broadcast", holds: &["addressed/broadcast"], imports: BELOW_SOURCES },
    Layer { name: "node", holds: &["node", "handle", "pools"], imports: first(BELOW_KINDS, 6) },
    Layer { name: "batcher", holds: &["batcher"], imports: BELOW_KINDS },
    Layer { name: "scheduler", holds: &["scheduler"], imports: BELOW_KINDS },
    Layer { name: "tasker", holds: &["tasker"], imports: BELOW_KINDS },
];

/// Batcher, scheduler and tasker do not import each other.
const BELOW_KINDS: &[&str] = &[
    "process",
    "run",
    "services",
    "sources/shared",
    "sources/addressed",
    "sources/broadcast",
    "node",
];
/// The three sources do not import each other.
const BELOW_SOURCES: &[&str] = first(BELOW_KINDS, 3);

const WORKER_EXCEPTIONS: &[(&str, &str)] = &[
    ("addressed/broadcast.rs", "addressed/seat.rs"),
    ("addressed/broadcast.rs", "pools.rs"),
    ("addressed/seat.rs", "pools.rs"),
];

const CLIENT: &[Layer] = &[
    Layer { name: "client", holds: &["client", "waiters", "known"], imports: &[] },
    Layer { name: "enqueue", holds: &["enqueue", "call", "cast", "results"], imports: &["client"] },
    Layer { name: "batcher", holds: &["batcher"], imports: &["client", "enqueue"] },
    Layer { name: "schedules", holds: &["schedule", "schedules"], imports: &["client", "enqueue"] },
    Layer { name: "admin", holds: &["inspect", "fleet"], imports: &["client", "enqueue"] },
    Layer { name: "pool", holds: &["pool", "group"], imports: &["client", "enqueue", "admin"] },
];

const CLIENT_EXCEPTIONS: &[(&str, &str)] =
    &[("client.rs", "enqueue.rs"), ("client.rs", "batcher.rs"), ("cast.rs", "pool.rs")];

/// The first layers of a list.
const fn first(layers: &'static [&'static str], count: usize) -> &'static [&'static str] {
    layers.split_at(count).0
}
