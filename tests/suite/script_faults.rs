//! An error at each command, and a value of a wrong type at each key, of each script that writes.
//! Redis does not take back the writes of a script that fails in the middle, so a script must leave
//! a state that the next step mends.
//!
//! A case prepares a state, calls the broker once, and then repeats the script that the broker has
//! called, on the same state, with an error at the first, the second and each further command.
//! After each error
//!
//! 1. each job that the script should have kept is in one place, not in none and not in two,
//! 2. the same call again leads to the state that the script reaches without an error: each job
//!    with all its parts, each receipt and each counter as after one call.
//!
//! The same holds after a call with a value of a wrong type at one of the keys, and such a call has
//! changed nothing unless it does several things, each of which is whole. On a full server a call
//! that fails has changed nothing.
//!
//! An error that the script survives must leave that state as well, counters apart. A case names
//! the other keys that may differ, with the reason.
//!
//! Each call also runs on a server that is out of memory: it works there as well, unless
//! [`REFUSED_WHEN_FULL`] lists its script.
//!
//! A new script joins the cases of its feature, or [`WITHOUT_CASE`] with the reason.

mod addressed;
mod admin;
mod batch;
mod finished;
mod fleet;
mod history;
mod hooks;
mod inject;
mod jobs;
mod limits;
mod schedule;
mod state;
mod unique;

use std::collections::BTreeSet;

use poolder::{JobId, QueueName};
use poolder_core::broker::{Broker, NodeName, script_texts};
use poolder_core::{Counters, Lane, Partition};
use poolder_devserver::Server;
use redis::{Cmd, Connection, FromRedisValue, cmd};

use crate::harness::Space;

/// Scripts without a case, and the reasons.
const WITHOUT_CASE: &[(&str, &str)] = &[
    ("schedule/schedules", "reads; it removes at most names that have no readable schedule"),
    ("fleet/check_cancelled", "reads; it removes at most cancellations of earlier jobs"),
    ("jobs/read", "reads"),
    ("jobs/value", "reads"),
    ("batch/batch_read", "reads"),
    ("admin/overview", "reads"),
    ("admin/list_ready", "reads"),
    ("admin/list_running", "reads"),
    ("admin/list_by_time", "reads"),
    ("admin/search", "reads"),
    ("admin/ahead", "reads"),
    ("admin/list_groups", "reads"),
    ("admin/search_groups", "reads"),
    ("admin/list_group", "reads"),
    ("limits/running", "reads"),
];

/// The scripts that a server refuses while it is out of memory, since they add data, and their cases that work all the same. Every other script works on a full server.
const REFUSED_WHEN_FULL: &[(&str, &[&str])] = &[
    (
        "jobs/enqueue",
        &["now with a receipt, again with None", "now with a receipt, again with Some(3600s)"],
    ),
    ("unique/holder", &[]),
    ("addressed/slot_cast", &["a job that is moved"]),
    ("addressed/broadcast", &[]),
    ("batch/push", &["flush", "timer", "timer of a batcher that is not declared"]),
    ("schedule/schedule_put", &["changed", "declared"]),
    // Adds the jobs of an export.
    ("admin/import", &[]),
    ("limits/put", &[]),
    // Adds the counts of nodes, which a full server may lose.
    ("history/flush", &[]),
    // Nothing depends on finished jobs.
    ("jobs/keep_finished", &[]),
];

/// The scripts that the tests of each feature cover.
const COVERED: [&[&str]; 11] = [
    jobs::SCRIPTS,
    admin::SCRIPTS,
    addressed::SCRIPTS,
    batch::SCRIPTS,
    schedule::SCRIPTS,
    fleet::SCRIPTS,
    history::SCRIPTS,
    limits::SCRIPTS,
    hooks::SCRIPTS,
    unique::SCRIPTS,
    finished::SCRIPTS,
];

#[test]
fn every_script_has_a_case_or_a_reason_to_have_none() {
    let all: BTreeSet<&str> = script_texts().iter().map(|(name, _)| *name).collect();
    let covered = COVERED.iter().flat_map(|scripts| scripts.iter().copied());
    let listed: Vec<&str> = covered.chain(WITHOUT_CASE.iter().map(|(name, _)| *name)).collect();
    assert_eq!(listed.len(), all.len(), "a script is listed twice, or not at all");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), all);
}

/// A private server, on which the cases of a feature run one after another.
struct Lab {
    space: Space,
    redis: Connection,
    covered: BTreeSet<&'static str>,
    /// Everything that was wrong in the cases so far.
    wrong: Vec<String>,
    _server: Server,
}

impl Lab {
    fn start() -> Self {
        let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
        let space = Space::on(server.url(), "faults");
        let redis = redis::Client::open(server.url()).unwrap().get_connection().unwrap();
        Self { space, redis, covered: BTreeSet::new(), wrong: vec![], _server: server }
    }

    /// Checks that nothing was wrong, and that every script of a list had a case.
    fn finish(&self, scripts: &[&'static str]) {
        assert!(self.wrong.is_empty(), "{}", self.wrong.join("\n"));
        assert_eq!(self.covered, scripts.iter().copied().collect());
    }

    fn broker(&self) -> &Broker {
        self.space.client.broker()
    }

    fn ask<T: FromRedisValue>(&mut self, command: &Cmd) -> T {
        command.query(&mut self.redis).unwrap_or_else(|error| panic!("{error}"))
    }

    /// Sends a command on a key of the queue.
    fn set(&mut self, name: &str, key: &str, words: &[&[u8]]) {
        let key = self.space.key("q", key);
        self.ask::<redis::Value>(cmd(name).arg(key).arg(words));
    }

    /// Removes everything, for the next case.
    fn reset(&mut self) {
        self.ask::<()>(cmd("FLUSHDB").arg("SYNC"));
    }
}

fn partition() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

fn node() -> NodeName {
    NodeName::from("me")
}

fn id_of(number: u8) -> JobId {
    JobId::from_bytes([number; 16])
}

/// Returns the stored form of a job. Options are given as their MessagePack map.
fn envelope(number: u8, kind: &str, options: &[u8]) -> Vec<u8> {
    let mut raw = vec![1, 1];
    raw.extend([number; 16]);
    raw.push(u8::try_from(kind.len()).unwrap());
    raw.extend(kind.as_bytes());
    raw.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    raw.extend(options);
    raw.push(number);
    raw
}

/// Returns counters of a job with one failed attempt.
fn failed(counters: &Counters) -> Counters {
    let mut counters = counters.clone();
    counters.failures = 1;
    counters.last_failure = Some(poolder::Failure::new(poolder::Cause::Error, "no"));
    counters
}

/// Returns the key of a lane behind the hash tag.
fn lane_key(lane: Lane) -> String {
    format!("ready:{lane}")
}
