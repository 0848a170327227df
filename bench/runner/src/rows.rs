//! The rows of the benchmark, and their budgets.

mod batches;
mod fleet;
mod kept;
mod limits;
mod look;

use bench_protocol::{Order, Work};

use crate::args::Args;
use crate::contender::Contender;
use crate::figures::{BYTES, CLIENT_US, IDLE, JOBS_S, MAX, P50, P99, REDIS_US};

/// A row of the table.
#[derive(Debug, Clone)]
pub struct Row {
    pub name: String,
    pub title: String,
    pub order: Order,
    pub who: Who,
    pub processes: usize,
    pub rounds: usize,
    pub budgets: Vec<Budget>,
    /// True when the server is out of memory from the moment at which the contender is ready.
    pub full: bool,
    quick: bool,
}

/// The contenders of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who {
    /// Poolder and the raw loop.
    Pair,
    /// Poolder, the raw loop and the peers.
    Everyone,
    /// Poolder's pools, once in each mode.
    Modes,
    /// Poolder alone.
    Poolder,
    /// Poolder and the peer that has groups.
    Grouped,
}

/// A limit on one of Poolder's figures.
#[derive(Debug, Clone, Copy)]
pub struct Budget {
    pub figure: &'static str,
    pub bound: Bound,
}

/// The kind of a limit.
#[derive(Debug, Clone, Copy)]
pub enum Bound {
    /// At least this share of the raw loop's figure in the same run.
    AtLeastRaw(f64),
    /// At most this multiple of the raw loop's figure in the same run.
    AtMostRaw(f64),
    /// At most this value.
    AtMost(f64),
    /// At least this share of Poolder's figure in the row of this name, if it is in the same run.
    AtLeastRow(&'static str, f64),
    /// At most this multiple of Poolder's figure in the row of this name, if it is in the same run.
    AtMostRow(&'static str, f64),
    /// At least this multiple of the figure of the peer of this name, if it is in the same run.
    AtLeastPeer(&'static str, f64),
    /// In every mode at least this share of the shared pool's figure in the same run.
    EachAtLeastShared(f64),
}

impl Row {
    /// Returns true when the contender takes part.
    pub fn is_for(&self, contender: &Contender) -> bool {
        let is_mode = crate::poolder::addressed::MODES.contains(&contender.name.as_str());
        match self.who {
            Who::Modes => is_mode,
            Who::Everyone => !is_mode && contender.name != "groupmq",
            Who::Poolder => contender.name == "poolder",
            Who::Grouped => matches!(contender.name.as_str(), "poolder" | "groupmq"),
            Who::Pair => matches!(contender.name.as_str(), "raw" | "poolder"),
        }
    }

    /// Returns the name of the contender with which the others are compared.
    pub fn baseline(&self) -> &'static str {
        if self.who == Who::Modes { "shared" } else { "raw" }
    }
}

fn row(name: &str, title: &str, work: Work, jobs: u64) -> Row {
    let order = Order {
        work,
        url: String::new(),
        jobs,
        concurrency: 64,
        payload: 100,
        handler_ms: 0,
        backlog: 0,
        delay_ms: 0,
        running: 0,
        queues: 1,
        nodes: 1,
        seconds: 0,
        limit: 0,
        groups: 0,
        process: 0,
    };
    Row {
        name: name.into(),
        title: title.into(),
        order,
        who: Who::Pair,
        processes: 1,
        rounds: usize::MAX,
        budgets: vec![],
        full: false,
        quick: false,
    }
}

impl Row {
    fn with(mut self, change: impl FnOnce(&mut Order)) -> Self {
        change(&mut self.order);
        self
    }

    fn budget(mut self, figure: &'static str, bound: Bound) -> Self {
        self.budgets.push(Budget { figure, bound });
        self
    }

    fn quick(mut self) -> Self {
        self.quick = true;
        self
    }

    fn everyone(mut self) -> Self {
        self.who = Who::Everyone;
        self
    }

    fn full(mut self) -> Self {
        self.full = true;
        self
    }

    fn poolder(mut self) -> Self {
        self.who = Who::Poolder;
        self
    }

    fn modes(mut self) -> Self {
        self.who = Who::Modes;
        self
    }

    fn rounds(mut self, rounds: usize) -> Self {
        self.rounds = rounds;
        self
    }
}

fn drain(name: &str, title: &str, jobs: u64) -> Row {
    row(name, title, Work::Drain, jobs).with(|order| order.backlog = jobs)
}

/// The rows about the lateness of ticks, and about the cost of schedules for leaders and other
/// nodes.
fn schedules() -> Vec<Row> {
    let ticks = |name: &str, title: &str, work| {
        row(name, title, work, 1)
            .with(|order| (order.backlog, order.seconds) = (100, 60))
            .budget(P99, Bound::AtMost(20.0))
            .rounds(1)
    };
    let mut rows = vec![
        ticks("ticks", "lateness of 100 schedules, a tick per second each", Work::Ticks),
        ticks("ticks-instant", "the same, all 100 at one instant", Work::TicksAtOnce),
    ];
    for (killed, name, how, most) in
        [(0, "resigned", "told to go", 1_000.0), (1, "killed", "killed", 14_000.0)]
    {
        let title = format!("lateness of 100 schedules whose leader is {how}");
        rows.push(
            row(&format!("takeover-{name}"), &title, Work::Takeover, 1)
                .with(|order| {
                    (order.backlog, order.running, order.seconds) = (100, killed, 25);
                })
                .budget(MAX, Bound::AtMost(most))
                .rounds(1),
        );
    }
    for backlog in [0, 10_000] {
        for standby in [0, 1] {
            let (name, who) = match standby {
                0 => ("leader", "its leader, alone"),
                _ => ("standby", "a node beside the leader (commands of both)"),
            };
            let title = format!("{backlog} schedules, {who}");
            rows.push(
                row(&format!("schedules-{backlog}-{name}"), &title, Work::Schedules, 0)
                    .with(|order| {
                        (order.backlog, order.running, order.seconds) = (backlog, standby, 30);
                    })
                    .rounds(1),
            );
        }
    }
    rows
}

/// Returns every row.
fn all() -> Vec<Row> {
    use Bound::{AtLeastRaw, AtLeastRow, AtMost, AtMostRaw, AtMostRow, EachAtLeastShared};
    let mut rows = vec![
        row("enqueue-1", "enqueue, one at a time, 1 in flight", Work::Enqueue, 40_000)
            .with(|order| order.concurrency = 1),
        row("enqueue-64", "enqueue, one at a time, 64 in flight", Work::Enqueue, 200_000)
            .budget(JOBS_S, AtLeastRaw(0.7))
            .budget(CLIENT_US, AtMostRaw(2.0))
            .quick(),
        row("enqueue-bulk", "enqueue in bulk", Work::Bulk, 400_000)
            .budget(JOBS_S, AtLeastRaw(0.5))
            .budget(CLIENT_US, AtMostRaw(2.0))
            .quick(),
    ];
    rows.extend([
        row(
            "idempotent",
            "enqueue jobs with ids, each stored once",
            Work::EnqueueIdempotent,
            100_000,
        )
        .poolder(),
        row("unique", "enqueue unique jobs, each with a key", Work::EnqueueUnique, 100_000)
            .poolder()
            .budget(REDIS_US, AtMostRow("idempotent", 2.0)),
        row("unique-held", "enqueue duplicates of one unique job", Work::EnqueueDuplicate, 100_000)
            .poolder()
            .budget(REDIS_US, AtMostRow("idempotent", 1.0)),
    ]);
    for slots in [1, 10, 64, 100, 1000] {
        let jobs = if slots == 1 { 30_000 } else { 300_000 };
        let title = format!("drain, concurrency {slots}");
        let mut row =
            drain(&format!("drain-{slots}"), &title, jobs).with(|order| order.concurrency = slots);
        if slots == 64 {
            row = row
                .budget(JOBS_S, AtLeastRaw(0.6))
                .budget(REDIS_US, AtMostRaw(1.3))
                .budget(CLIENT_US, AtMostRaw(2.0))
                .quick();
        }
        rows.push(row);
    }
    rows.push(
        drain("drain-full", "drain, the server out of memory", 300_000)
            .full()
            .budget(JOBS_S, AtLeastRow("drain-64", 0.5))
            .budget(REDIS_US, AtMostRaw(1.3))
            .quick(),
    );
    rows.extend([
        row("both", "produce one at a time (64 callers) and consume", Work::Both, 200_000)
            .budget(JOBS_S, AtLeastRaw(0.5))
            .budget(CLIENT_US, AtMostRaw(2.0))
            .quick(),
        row("both-bulk", "produce in bulk and consume", Work::BothBulk, 300_000)
            .budget(JOBS_S, AtLeastRaw(0.5))
            .budget(CLIENT_US, AtMostRaw(2.0))
            .quick(),
        row("pickup", "idle pick-up", Work::Pickup, 500)
            .budget(P50, AtMost(0.6))
            .budget(P99, AtMost(1.2))
            .quick(),
        row("delayed", "lateness of 1,000 jobs each 2 s ahead", Work::Delayed, 1000)
            .with(|order| order.delay_ms = 2000)
            .budget(P99, AtMost(5.0))
            .quick(),
        row(
            "delayed-instant",
            "lateness of 1,000 jobs due at one instant",
            Work::DelayedAtOnce,
            1000,
        )
        .with(|order| order.delay_ms = 3000),
        row("delayed-1m", "the same 2 s ahead, with 1,000,000 waiting", Work::Delayed, 1000)
            .with(|order| (order.delay_ms, order.backlog) = (2000, 1_000_000))
            .rounds(1),
        row("idle", "idle node, one queue", Work::Idle, 0)
            .with(|order| order.seconds = 20)
            .budget(IDLE, AtMost(5.0))
            .rounds(1)
            .quick(),
        row("idle-4", "idle node, four queues", Work::Idle, 0)
            .with(|order| (order.seconds, order.queues) = (20, 4))
            .budget(IDLE, AtMost(8.0))
            .rounds(1)
            .quick(),
        row("bytes-ready", "memory of a waiting job", Work::StoreReady, 200_000)
            .budget(BYTES, AtMost(150.0))
            .rounds(1)
            .quick(),
        row("bytes-delayed", "memory of a delayed job", Work::StoreDelayed, 200_000)
            .budget(BYTES, AtMost(330.0))
            .rounds(1)
            .quick(),
    ]);
    rows.extend(kept::all().into_iter().chain(schedules()));
    for (bytes, jobs) in [(100, 200_000), (1024, 100_000), (65_536, 4_000)] {
        let (name, title) = (format!("payload-{bytes}"), format!("drain, payload {bytes} bytes"));
        rows.push(drain(&name, &title, jobs).with(|order| order.payload = bytes));
    }
    for (ms, jobs) in [(0, 200_000), (1, 100_000), (50, 5_000)] {
        let (name, title) = (format!("handler-{ms}"), format!("drain, handler of {ms} ms"));
        rows.push(drain(&name, &title, jobs).with(|order| order.handler_ms = ms));
    }
    rows.push(
        row("retry", "every job fails once", Work::Retry, 50_000)
            .with(|order| order.backlog = 50_000),
    );
    for processes in [1, 2, 4, 8] {
        let title = format!("drain, {processes} processes of 16 slots");
        let mut row = drain(&format!("processes-{processes}"), &title, 200_000)
            .with(|order| order.concurrency = 16);
        row.processes = processes;
        if processes > 1 {
            row.order.jobs = u64::MAX;
        }
        rows.push(row);
    }
    rows.extend([
        drain("modes-drain", "drain by mode, 64 slots in one process", 200_000)
            .modes()
            .budget(JOBS_S, EachAtLeastShared(0.5))
            .quick(),
        row("modes-both", "produce and consume by mode, 64 slots", Work::Both, 100_000)
            .modes()
            .budget(JOBS_S, EachAtLeastShared(0.5)),
    ]);
    for backlog in [10_000, 100_000, 1_000_000, 5_000_000] {
        let (name, title) = (format!("backlog-{backlog}"), format!("drain, of {backlog} waiting"));
        rows.push(
            row(&name, &title, Work::Drain, 100_000.min(backlog))
                .with(|order| order.backlog = backlog)
                .rounds(if backlog > 1_000_000 { 1 } else { usize::MAX }),
        );
    }
    rows.push(
        drain("running-10000", "drain, beside 10,000 running jobs", 100_000)
            .with(|order| order.running = 10_000),
    );
    rows.extend(batches::all().into_iter().chain(limits::all()));
    rows.extend(fleet::all());
    rows.extend(look::all());
    rows.extend(
        [
            row("peers-enqueue-64", "enqueue, one at a time, 64 in flight", Work::Enqueue, 20_000),
            row("peers-bulk", "enqueue in bulk", Work::Bulk, 20_000),
            drain("peers-drain", "drain, concurrency 64", 20_000),
            row("peers-both", "produce and consume, 64 callers", Work::Both, 10_000),
            row("peers-pickup", "idle pick-up", Work::Pickup, 300),
            row("peers-delayed", "lateness of 1,000 jobs each 2 s ahead", Work::Delayed, 1000)
                .with(|order| order.delay_ms = 2000),
            row("peers-idle", "idle worker", Work::Idle, 0)
                .with(|order| order.seconds = 10)
                .rounds(1),
            row("peers-bytes", "memory of a waiting job", Work::StoreReady, 20_000).rounds(1),
        ]
        .map(Row::everyone),
    );
    rows
}

/// Returns the names of all rows.
pub fn names() -> Vec<String> {
    all().into_iter().map(|row| row.name).collect()
}

/// Returns the rows that the command line asks for.
pub fn selected(args: &Args) -> Vec<Row> {
    let wanted = |row: &Row| {
        let named = args.only.iter().any(|only| row.name.starts_with(only.as_str()));
        let has_peers = matches!(row.who, Who::Everyone | Who::Grouped);
        let usual = (!args.quick || row.quick) && (!has_peers || args.peers);
        if args.only.is_empty() { usual } else { named }
    };
    let mut rows: Vec<Row> = all().into_iter().filter(wanted).collect();
    let scale = args.scale * if args.quick { 0.5 } else { 1.0 };
    for row in &mut rows {
        if row.order.jobs >= 10_000 && row.order.jobs < u64::MAX {
            row.order.jobs = (row.order.jobs as f64 * scale) as u64;
        }
        let drains = matches!(row.order.work, Work::Drain | Work::DrainGroups | Work::Retry);
        if drains && row.order.backlog >= 10_000 {
            row.order.backlog = (row.order.backlog as f64 * scale) as u64;
        }
    }
    rows
}
