//! The layers of each crate.

use super::{Crate, Layer};

pub(crate) const CRATES: &[Crate] = &[
    Crate { name: "poolder-core", layers: CORE },
    Crate { name: "poolder-worker", layers: WORKER },
    Crate { name: "poolder-client", layers: CLIENT },
    Crate { name: "poolder-web", layers: WEB },
];

const CORE: &[Layer] = &[
    Layer { name: "mutation", holds: &["mutation"], imports: &[] },
    Layer { name: "metrics", holds: &["metrics"], imports: &[] },
    Layer { name: "job", holds: &["job"], imports: first(CORE_NAMES, 1) },
    Layer { name: "policy", holds: &["policy"], imports: first(CORE_NAMES, 2) },
    Layer { name: "stored", holds: &["stored"], imports: first(CORE_NAMES, 3) },
    Layer { name: "schedule", holds: &["schedule"], imports: first(CORE_NAMES, 4) },
    Layer { name: "view", holds: &["view"], imports: first(CORE_NAMES, 5) },
    // The queue of a test, in which a broker without a server stores.
    Layer { name: "captured", holds: &["captured"], imports: first(CORE_NAMES, 6) },
    Layer { name: "history", holds: &["history"], imports: &["mutation", "job", "policy", "view"] },
    Layer {
        name: "broker/keys",
        holds: &["broker/keys", "broker/scripts"],
        imports: &["mutation", "job"],
    },
    // A connection knows no job: it only holds the queue of a test.
    Layer {
        name: "broker/connection",
        holds: &["broker/mod.rs", "broker/connection"],
        imports: &["mutation", "job", "captured", "broker/keys"],
    },
    Layer { name: "broker/fleet", holds: &["broker/fleet"], imports: first(CORE_NAMES, 10) },
    Layer { name: "broker/jobs", holds: &["broker/jobs"], imports: first(CORE_NAMES, 11) },
    Layer { name: "broker/addressed", holds: &["broker/addressed"], imports: BELOW_FEATURES },
    Layer { name: "broker/batch", holds: &["broker/batch"], imports: BELOW_FEATURES },
    Layer { name: "broker/schedule", holds: &["broker/schedule"], imports: BELOW_FEATURES },
    Layer { name: "broker/limits", holds: &["broker/limits"], imports: BELOW_FEATURES },
    Layer { name: "broker/history", holds: &["broker/history"], imports: BELOW_FEATURES },
    Layer { name: "broker/unique", holds: &["broker/unique"], imports: BELOW_FEATURES },
    Layer {
        name: "broker/maintenance",
        holds: &["broker/maintenance"],
        imports: first(CORE_NAMES, 16),
    },
    Layer { name: "broker/admin", holds: &["broker/admin"], imports: first(CORE_NAMES, 16) },
];

/// The layers of the core below `broker/maintenance`, the lowest first.
const CORE_NAMES: &[&str] = &[
    "mutation",
    "job",
    "policy",
    "stored",
    "schedule",
    "view",
    "captured",
    "history",
    "broker/keys",
    "broker/connection",
    "broker/fleet",
    "broker/jobs",
    "broker/addressed",
    "broker/batch",
    "broker/limits",
    "broker/schedule",
];
/// Addressed slots, batches, limits and schedules do not import each other.
const BELOW_FEATURES: &[&str] = first(CORE_NAMES, 12);

const WORKER: &[Layer] = &[
    Layer { name: "process", holds: &["process"], imports: &[] },
    Layer { name: "observe", holds: &["observe"], imports: &["process"] },
    Layer { name: "run", holds: &["run"], imports: &["process"] },
    Layer { name: "services", holds: &["services"], imports: &["process", "run"] },
    Layer { name: "sources", holds: &["sources/mod.rs"], imports: &[] },
    Layer { name: "sources/shared", holds: &["sources/shared"], imports: BELOW_SOURCES },
    Layer { name: "sources/addressed", holds: &["sources/addressed"], imports: BELOW_SOURCES },
    Layer { name: "sources/broadcast", holds: &["sources/broadcast"], imports: BELOW_SOURCES },
    Layer { name: "node", holds: &["node"], imports: first(BELOW_KINDS, 7) },
    Layer { name: "batcher", holds: &["batcher"], imports: BELOW_KINDS },
    Layer { name: "scheduler", holds: &["scheduler"], imports: BELOW_KINDS },
    Layer { name: "tasker", holds: &["tasker"], imports: BELOW_KINDS },
    Layer { name: "testing", holds: &["testing"], imports: BELOW_KINDS },
];

/// Batcher, scheduler and tasker do not import each other.
const BELOW_KINDS: &[&str] = &[
    "process",
    "run",
    "services",
    "sources/shared",
    "sources/addressed",
    "sources/broadcast",
    "observe",
    "node",
];
/// The three sources do not import each other.
const BELOW_SOURCES: &[&str] = first(BELOW_KINDS, 3);

const CLIENT: &[Layer] = &[
    Layer { name: "http", holds: &["http"], imports: &[] },
    Layer { name: "state", holds: &["state"], imports: &[] },
    // The client keeps the state that the handles of a batcher share, which is therefore below it.
    Layer { name: "batcher", holds: &["batcher"], imports: &["state"] },
    Layer { name: "client", holds: &["client"], imports: &["state", "batcher"] },
    Layer { name: "job", holds: &["job"], imports: &["state", "client"] },
    Layer { name: "enqueue", holds: &["enqueue"], imports: &["state", "client"] },
    Layer { name: "schedules", holds: &["schedules"], imports: &["state", "client", "enqueue"] },
    Layer { name: "admin", holds: &["admin"], imports: &["state", "client", "job", "enqueue"] },
];

const WEB: &[Layer] = &[
    Layer { name: "show", holds: &["show"], imports: &[] },
    Layer { name: "access", holds: &["access"], imports: &[] },
    Layer { name: "look", holds: &["look"], imports: &[] },
    Layer { name: "task", holds: &["task"], imports: &[] },
    // The state of a dashboard and one request to it, below the pages that answer it.
    Layer { name: "request", holds: &["request"], imports: &["show", "access", "look", "task"] },
    Layer {
        name: "page",
        holds: &["page"],
        imports: &["show", "access", "look", "task", "request"],
    },
    Layer {
        name: "http",
        holds: &["http"],
        imports: &["show", "access", "look", "task", "request", "page"],
    },
    Layer {
        name: "dashboard",
        holds: &["dashboard"],
        imports: &["access", "look", "task", "request", "http"],
    },
    Layer { name: "serve", holds: &["serve"], imports: &["access", "dashboard"] },
];

/// The first layers of a list.
const fn first(layers: &'static [&'static str], count: usize) -> &'static [&'static str] {
    layers.split_at(count).0
}
