//! Everything on the wire that has a name or a position, with its owner and the version that
//! introduced it. `docs/wire.md` shows these tables; `src/page.rs` compares them with the page and
//! with the code.

/// A row: the name or position, its content, the feature that owns it, and the version since which
/// it is written, or [`RESERVED`].
pub(crate) struct Row(
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
    pub(crate) &'static str,
);

/// The version of a row that no version writes yet.
pub(crate) const RESERVED: &str = "reserved";

/// The tables, by the headings of the page.
pub(crate) const TABLES: [(&str, &[Row]); 8] = [
    ("Options of an envelope", OPTIONS),
    ("Elements of the counters", COUNTERS),
    ("Entries of the counters' map", MAP),
    ("Elements of an attempt", ATTEMPT),
    ("Fields of a stream entry", FIELDS),
    ("Keys", KEYS),
    ("Ids", IDS),
    ("Handles", HANDLES),
];

/// The options of an envelope.
pub(crate) const OPTIONS: &[Row] = &[
    Row("g", "group; written first", "limits", "0.1"),
    Row("n", "cost, 1 to 1,000,000,000; without it 1", "limits", "0.1"),
    Row("v", "version of the payload's shape; 1 is not stored", "jobs", "0.1"),
    Row("a", "attempts", "policy", "0.1"),
    Row(
        "b",
        "backoff: `{\"e\": [base, cap]}`, `{\"l\": [step, cap]}`, `{\"f\": wait}`, `{\"s\": [wait, …]}` or `\"p\"`, in ms",
        "policy",
        "0.1",
    ),
    Row("t", "timeout in ms; 0 for none", "policy", "0.1"),
    Row("w", "time for retries after the first failure, in ms", "policy", "0.1"),
    Row("c", "crashes at which a suspect is buried", "policy", "0.1"),
    Row("e", "retention of the completion record in ms", "completions", "0.1"),
    Row("s", "tick: `{\"n\": schedule, \"t\": ms, \"a\": alone}`", "schedules", "0.1"),
    Row("r", "true for a call", "calls", "0.1"),
    Row("k", "hash of the key by which the slot was picked", "pools", "0.1"),
    Row("h", "headers: map of name to value, at most 2 KiB", "headers", "0.1"),
    Row("p", "trace context: trace id, span id and flags, 25 bytes", "traces", "0.1"),
    Row(
        "x",
        "time after which the job does not start for the first time, in ms since 1970",
        "jobs",
        "0.1",
    ),
    Row(
        "d",
        "ms within which the job of a schedule or a batch starts; a tick makes it `x`",
        "jobs",
        "0.1",
    ),
    Row(
        "U",
        "unique job: mode, key, and ms for which it holds the key, 19 bytes",
        "unique jobs",
        "0.1",
    ),
    Row("i", "time of the enqueue in ms, for an id that carries none", "inspection", RESERVED),
    Row("q", "trace", "traces", RESERVED),
    Row("o", "trace", "traces", RESERVED),
    Row("F", "the job is a step of a workflow", "workflows", RESERVED),
];

/// The elements of the array of counters.
pub(crate) const COUNTERS: &[Row] = &[
    Row("0", "failures", "policy", "0.1"),
    Row("1", "crashes", "policy", "0.1"),
    Row("2", "deliveries", "policy", "0.1"),
    Row("3", "time of the first failure in ms; 0 for none", "policy", "0.1"),
    Row("4", "lane of the enqueue, 0 to 4", "lanes", "0.1"),
    Row("5", "last failure: `[cause, message]`, or nil", "policy", "0.1"),
    Row("6", "map of everything later; left out when it would be empty", "all features", "0.1"),
    Row("7–14", "later elements", "all features", RESERVED),
];

/// The entries of the map among the counters.
pub(crate) const MAP: &[Row] = &[
    Row(
        "a",
        "attempts so far: array of the first seven and the last seven, at most 2 KiB",
        "inspection",
        "0.1",
    ),
    Row("b", "true once an attempt of a job with `x` or `d` has begun", "jobs", "0.1"),
    Row(
        "g",
        "generation of an id that is derived from a name: time of the enqueue or of the last revival in ms, as 64 bits",
        "jobs",
        "0.1",
    ),
    Row(
        "l",
        "how often attempts have met a limit of another system since one has failed, as 32 bits",
        "limits",
        "0.1",
    ),
];

/// The elements of an attempt.
pub(crate) const ATTEMPT: &[Row] = &[
    Row("0", "time of its end in ms", "inspection", "0.1"),
    Row(
        "1",
        "cause: `\"Error\"`, `\"Timeout\"`, `\"Panic\"`, `\"Payload\"`, `\"Crash\"` or `\"Undecodable\"`",
        "inspection",
        "0.1",
    ),
    Row("2", "duration in ms; 0 when it is not known", "inspection", "0.1"),
    Row("3", "name of the node, cut to 24 bytes", "inspection", "0.1"),
    Row("4", "fingerprint of the failure, 64 bits", "inspection", "0.1"),
];

/// The fields of a stream entry.
pub(crate) const FIELDS: &[Row] = &[
    Row("j", "envelope; always the first field", "jobs", "0.1"),
    Row("c", "counters; only of a job that was moved, or has a generation", "jobs", "0.1"),
    Row(
        "g",
        "group of which the job holds a permit; in the lanes front and suspect",
        "limits",
        "0.1",
    ),
    Row("kind", "kind of a plain entry", "plain entries", "0.1"),
    Row("payload", "payload of a plain entry, as JSON", "plain entries", "0.1"),
    Row("group", "group of a plain entry; may be left out", "limits", "0.1"),
    Row("raw", "text of an entry of a limited queue that is no job", "limits", "0.1"),
    Row("n", "number of an entry of a broadcast stream", "pools", "0.1"),
];

/// The keys; all begin with the namespace and a colon, which the names leave out.
pub(crate) const KEYS: &[Row] = &[
    Row("{<partition>}:ready:<lane>", "stream of ready jobs", "jobs", "0.1"),
    Row("{<partition>}:due", "sorted set: id or timer by due time", "jobs", "0.1"),
    Row("{<partition>}:bodies", "hash: id to head and envelope", "jobs", "0.1"),
    Row("{<partition>}:dead", "sorted set: id by time of death", "jobs", "0.1"),
    Row("{<partition>}:dead:bodies", "hash: id to dead record", "jobs", "0.1"),
    Row(
        "{<partition>}:dead:hooks",
        "sorted set: id of a dead job of which hooks are told, and a byte with its tries, by the time of the next try",
        "hooks",
        "0.1",
    ),
    Row("{<partition>}:finished", "sorted set: id of a finished job by its end", "jobs", "0.1"),
    Row("{<partition>}:finished:bodies", "hash: id to finished record", "jobs", "0.1"),
    Row("{<partition>}:leader", "string: term and node of the leader", "fleet", "0.1"),
    Row(
        "{<partition>}:lease",
        "hash: lease of an addressed slot, notes of suspects",
        "pools",
        "0.1",
    ),
    Row("{<partition>}:schedules", "hash: name to record", "schedules", "0.1"),
    Row("{<partition>}:schedules:state", "hash: name to state", "schedules", "0.1"),
    Row(
        "{<partition>}:schedules:next",
        "sorted set: name by time of the next tick",
        "schedules",
        "0.1",
    ),
    Row("{<partition>}:schedules:running", "hash: name to unfinished job", "schedules", "0.1"),
    Row("{<partition>}:schedules:queued", "hash: name to waiting job", "schedules", "0.1"),
    Row("{<partition>}:schedules:runs", "hash: name to last runs", "schedules", "0.1"),
    Row("{<partition>}:stats", "hash of counters", "inspection", "0.1"),
    Row("{<partition>}:meta", "hash: pause, number of commands, term, pool", "fleet", "0.1"),
    Row("{<partition>}:cancelled", "sorted set: id by time of the cancellation", "jobs", "0.1"),
    Row("{<partition>}:control", "channel of hints", "fleet", "0.1"),
    Row(
        "{<partition>}:control:<node>",
        "channel on which a node that rests is woken",
        "fleet",
        "0.1",
    ),
    Row("{<partition>}:waiting", "sorted set: node with a wait permit by its end", "fleet", "0.1"),
    Row(
        "{<partition>}:resting",
        "sorted set: node that rests by the end of its entry",
        "fleet",
        "0.1",
    ),
    Row(
        "{<partition>}:result:<job>",
        "string: completion record, and channel",
        "completions",
        "0.1",
    ),
    Row("{<partition>}:progress:<job>", "string: progress of a running job", "jobs", "0.1"),
    Row("{<partition>}:unique", "hash: key to the unique job that holds it", "unique jobs", "0.1"),
    Row("{<partition>}:sent:<job>", "string: receipt of an idempotent enqueue", "jobs", "0.1"),
    Row(
        "{<partition>}:imported:<job>",
        "string: mark of a job that was imported; `:` and its generation follow the id of a named job",
        "jobs",
        "0.1",
    ),
    Row(
        "{<partition>}:limits",
        "hash: limits of the queue, times of the queue, last ticket, mark while a claimer waits",
        "limits",
        "0.1",
    ),
    Row("{<partition>}:limits:groups", "hash: group to its record", "limits", "0.1"),
    Row("{<partition>}:limits:jobs", "hash: number and group to waiting job", "limits", "0.1"),
    Row(
        "{<partition>}:limits:turns",
        "list: ticket and group of each group that may start a job",
        "limits",
        "0.1",
    ),
    Row("{<partition>}:limits:own", "hash: group to its pause and its own limits", "limits", "0.1"),
    Row(
        "{<partition>}:limits:wake",
        "list of tokens, each of which wakes a claimer",
        "limits",
        "0.1",
    ),
    Row(
        "{<partition>}:limits:timers",
        "sorted set: group by the time in ms at which it may go on",
        "limits",
        "0.1",
    ),
    Row("{<partition>}:members", "sorted set: node by its last beat", "pools", "0.1"),
    Row("{<partition>}:drained", "set of slots drained since a resize", "pools", "0.1"),
    Row("{<partition>}:retired", "set of slots beyond the size, now empty", "pools", "0.1"),
    Row("{<partition>}:batch:index", "hash: batch job to its list", "batches", "0.1"),
    Row("{<partition>}:batch:dropped", "set of batch jobs that are gone", "batches", "0.1"),
    Row("{<partition>}:batch:about:<batcher>", "hash: options and numbers", "batches", "0.1"),
    Row("{<partition>}:batch:open:<batcher>", "hash: group to its filling list", "batches", "0.1"),
    Row(
        "{<partition>}:batch:fill:<batcher>:<group>",
        "list of gathering entries",
        "batches",
        "0.1",
    ),
    Row("{<partition>}:batch:sealed:<job>", "list of a batch", "batches", "0.1"),
    Row(
        "{<partition>}:batch:rest:<job>:<part>",
        "list that an attempt set aside",
        "batches",
        "0.1",
    ),
    Row(
        "{<partition>}:batch:token:<batcher>:<token>",
        "string: receipt of an idempotent push",
        "batches",
        "0.1",
    ),
    Row("{<queue>}:broadcast", "stream that every slot reads", "pools", "0.1"),
    Row("{<queue>}:broadcast:count", "string: number of its entries", "pools", "0.1"),
    Row(
        "{roster}:nodes",
        "sorted set: node by its last beat; 7 s later for a node that beats every 4 s",
        "fleet",
        "0.1",
    ),
    Row("{roster}:marks", "sorted set: dead node by the time of its mark", "fleet", "0.1"),
    Row("{roster}:about", "hash: node to its description", "fleet", "0.1"),
    Row(
        "{roster}:orders",
        "hash: node to `quiet`, `resume` or `stop`, which an operator has ordered",
        "fleet",
        "0.1",
    ),
    Row("{roster}:queues", "set of all queues", "fleet", "0.1"),
    Row("{roster}:schedulers", "hash: owner to the queues of its schedules", "schedules", "0.1"),
    Row(
        "{roster}:views",
        "hash: name of a saved view of a list of jobs to its path within a dashboard",
        "dashboard",
        "0.1",
    ),
    Row("{roster}:group:<pool set>", "set of the queues of a pool set", "pools", "0.1"),
    Row(
        "{roster}:history:<step>:<number>",
        "hash: series to its counts in a period",
        "history",
        "0.1",
    ),
    Row(
        "{roster}:history:rolled:<step>:<number>",
        "string: a node makes this frame, or has made it",
        "history",
        "0.1",
    ),
    Row(
        "{roster}:history:queues:<step>:<number>",
        "hash: queue to its gauges in a period",
        "history",
        "0.1",
    ),
    Row(
        "{roster}:history:sampled:<minute>",
        "string: a node takes the sample of this minute",
        "history",
        "0.1",
    ),
    Row("{roster}:watched", "string that exists while the history is watched", "history", "0.1"),
    Row("{roster}:deploys", "hash: deploy to its first time in ms", "history", "0.1"),
    Row("{roster}:errors", "hash: error to its first time in ms and a sample", "history", "0.1"),
    Row("{roster}:errors:seen", "sorted set: error by the time it was seen last", "history", "0.1"),
    Row("{roster}:errors:muted", "hash: error to its mute", "history", "0.1"),
    Row("{roster}:audit", "stream: what actors have changed", "history", "0.1"),
    Row("{roster}:journal", "stream: what has happened to nodes and partitions", "history", "0.1"),
];

/// The ids of jobs, and the other members of `due`.
pub(crate) const IDS: &[Row] = &[
    Row("new", "UUIDv7", "jobs", "0.1"),
    Row("named", "UUIDv5 of `<queue> \\n <name>`", "jobs", "0.1"),
    Row("tick", "UUIDv5 of `tick \\n <queue> \\n <schedule> \\n <ms>`", "schedules", "0.1"),
    Row("plain", "UUIDv5 of `<stream> \\n <entry>`", "plain entries", "0.1"),
    Row(
        "second",
        "the id with 1 to 15 added to its last byte: a job waits or is dead under it when another job of its id is there",
        "jobs",
        "0.1",
    ),
    Row(
        "third",
        "first 16 digits of the SHA-1 of the id and the entry, or the time of death: when all of those are taken",
        "jobs",
        "0.1",
    ),
    Row(
        "timer:batch:seal:<batcher>:<generation>:<group>",
        "timer in `due`, always longer than an id",
        "batches",
        "0.1",
    ),
];

/// The forms of a handle.
pub(crate) const HANDLES: &[Row] = &[
    Row("<queue>.<partition>/<job>", "a job at an unknown place", "jobs", "0.1"),
    Row("<queue>.<partition>/<job>/<lane>/<entry>", "a job seen in a lane", "jobs", "0.1"),
    Row(
        "<queue>.<partition>/<job>/group/<number>-<group>",
        "a job seen in a group of a limited queue; bytes of the group other than ASCII letters, \
         digits, `-` and `_` are `~` and two upper-case hexadecimal digits",
        "limits",
        "0.1",
    ),
    Row("<queue>.<partition>/<job>/due/<ms>", "a job seen among the waiting", "jobs", "0.1"),
    Row("<queue>.<partition>/<job>/dead", "a dead job", "jobs", "0.1"),
    Row(
        "<queue>.<partition><suffix>/…",
        "a job of a divided queue; the suffix is `[a-z][a-z0-9]*`",
        "partitions",
        RESERVED,
    ),
];
