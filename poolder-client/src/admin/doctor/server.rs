//! Faults of the server and of the way to it. Pure.

use std::time::Duration;

use poolder_core::broker::{Latency, ServerFacts, ServerInfo, ServerView};

use crate::admin::finding::{Finding, Severity};
use crate::admin::words::{many, span};

/// A ping that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(50);
/// Clocks that are further apart than this differ.
const CLOCK: Duration = Duration::from_secs(2);
/// The part of the clients, in percent, above which connections run short.
const CLIENTS: u64 = 80;
/// The slots of a cluster.
const SLOTS: u64 = 16_384;
/// The most commands that a finding names.
const MOST_NAMES: usize = 8;

/// Returns the name and the version of the server.
pub(super) fn name(facts: &ServerFacts) -> String {
    facts.info.as_ref().map(ServerInfo::name).unwrap_or_default()
}

pub(super) fn field<'a>(facts: &'a ServerFacts, name: &str) -> Option<&'a str> {
    facts.info.as_ref()?.field(name)
}

pub(super) fn number(facts: &ServerFacts, name: &str) -> Option<u64> {
    facts.info.as_ref()?.number(name)
}

/// Finds the faults of a server that answers.
pub(super) fn check(facts: &ServerFacts, nodes: u64, findings: &mut Vec<Finding>) {
    let mut found = |code, severity, texts: (String, &str, &str)| {
        findings.push(Finding::new(code, severity, "server".into(), texts));
    };
    if facts.info.is_none() {
        found(
            "info_denied",
            Severity::Warning,
            (
                "this user may not ask the server for INFO".into(),
                "memory, persistence and role of the server were not checked",
                "grant +info to this user",
            ),
        );
    }
    rights(facts, &mut found);
    role(facts, &mut found);
    durability(facts, &mut found);
    clients(facts, nodes, &mut found);
    way(facts, &mut found);
    cluster(facts, &mut found);
}

type Found<'a> = &'a mut dyn FnMut(&'static str, Severity, (String, &str, &str));

fn rights(facts: &ServerFacts, found: Found<'_>) {
    if !facts.missing.is_empty() {
        found(
            "missing_commands",
            Severity::Problem,
            (
                format!("the server does not know {}", facts.missing.join(", ")),
                "each operation that needs them fails",
                "enable these commands: they were switched off or renamed",
            ),
        );
    }
    if let Some(denied) = facts.denied.as_ref().filter(|denied| !denied.is_empty()) {
        found(
            "rights",
            Severity::Warning,
            (
                format!("a node that logs in as this user may not run {}", some_of(denied)),
                "such a node cannot claim or settle jobs",
                "give nodes a user with the rules of docs/access.md; this is as it should be if only \
             an operator or a dashboard logs in as this user",
            ),
        );
    }
}

/// Returns the first of some names, and the number of the others.
fn some_of(names: &[String]) -> String {
    let (first, others) = names.split_at(names.len().min(MOST_NAMES));
    match others.len() {
        0 => first.join(", "),
        others => format!("{}, and {others} other commands", first.join(", ")),
    }
}

/// Finds the slots of a cluster that no server has.
fn cluster(facts: &ServerFacts, found: Found<'_>) {
    let Some(fields) = &facts.cluster else { return };
    let slots = fields.number("cluster_slots_ok").unwrap_or(SLOTS);
    let is_down = fields.field("cluster_state").is_some_and(|state| state != "ok");
    if slots < SLOTS || is_down {
        found(
            "cluster_slots",
            Severity::Problem,
            (
                format!("the cluster serves {slots} of {SLOTS} slots"),
                "the queues whose keys are in the other slots stand still",
                "bring back the servers of these slots, or assign the slots to others",
            ),
        );
    }
}

/// Finds servers that are far away, and the faults of the servers of a cluster, of which each has its
/// own settings. The one with the roster is examined more closely by [`check`].
pub(super) fn check_all(servers: &[ServerView], findings: &mut Vec<Finding>) {
    for server in servers {
        let subject = match servers {
            [_] => "server".to_owned(),
            _ => format!("server {}", server.address),
        };
        findings.extend(distance(server.latency, subject));
    }
    if servers.len() < 2 {
        return;
    }
    for server in servers {
        let mut found = |code, severity, texts: (String, &str, &str)| {
            let subject = format!("server {}", server.address);
            findings.push(Finding::new(code, severity, subject, texts));
        };
        if let Some(why) = &server.why {
            found(
                "server_away",
                Severity::Problem,
                (
                    why.clone(),
                    "the queues whose keys it has stand still, or cannot be looked into",
                    "check the server, and the rights of this user on it",
                ),
            );
        } else if !server.policy.is_empty() && server.policy != "noeviction" {
            found(
                "server_eviction",
                if server.memory_max.is_some() { Severity::Problem } else { Severity::Warning },
                (
                    format!("maxmemory-policy is {}", server.policy),
                    "a server whose memory is full deletes jobs",
                    "set maxmemory-policy noeviction on each server of the cluster",
                ),
            );
        }
    }
    let mut versions: Vec<&str> = servers.iter().map(|server| server.name.as_str()).collect();
    versions.retain(|name| !name.is_empty());
    versions.sort_unstable();
    versions.dedup();
    if versions.len() > 1 {
        findings.push(Finding::new(
            "mixed_versions",
            Severity::Note,
            "server".into(),
            (
                format!("the servers of the cluster have the versions {}", versions.join(", ")),
                "their commands may differ",
                "finish the upgrade of the cluster",
            ),
        ));
    }
}

/// Returns the finding of a server whose answers take long.
pub(super) fn distance(latency: Option<Latency>, subject: String) -> Option<Finding> {
    let latency = latency?;
    let [median, slowest] = [latency.median, latency.slowest].map(Duration::from_micros);
    let texts = (
        format!("a round trip takes {}, the slowest {}", span(median), span(slowest)),
        "each claim and each settlement takes a round trip",
        "bring this host nearer to the server, or look for slow commands (SLOWLOG)",
    );
    (median >= SLOW).then(|| Finding::new("latency", Severity::Warning, subject, texts))
}

fn role(facts: &ServerFacts, found: Found<'_>) {
    let Some(info) = &facts.info else { return };
    let version = info.version();
    if !version.is_empty() && info.is_too_old() {
        found(
            "version",
            Severity::Problem,
            (
                format!("the server is version {version}, the oldest that works is 6.2"),
                "it lacks commands that queues need",
                "upgrade the server",
            ),
        );
    }
    if info.has_stream_errors() {
        found(
            "version",
            Severity::Warning,
            (
                format!("version {version} has known memory errors in streams"),
                "the server may crash",
                "use 7.0.5 or later",
            ),
        );
    }
    if field(facts, "role") == Some("slave") {
        found(
            "replica",
            Severity::Problem,
            (
                "the server is a replica".into(),
                "a replica takes no jobs",
                "use the address of the primary, or the Sentinels",
            ),
        );
    }
    if field(facts, "loading") == Some("1") {
        found(
            "loading",
            Severity::Problem,
            (
                "the server is loading its data".into(),
                "it refuses all commands until it is done",
                "wait; a large data set takes minutes",
            ),
        );
    }
}

fn durability(facts: &ServerFacts, found: Found<'_>) {
    match (field(facts, "aof_enabled"), facts.appendfsync.as_deref()) {
        (Some("0"), _) => found(
            "aof",
            Severity::Warning,
            (
                "appendonly is off".into(),
                "a restart of the server loses all jobs since its last snapshot",
                "set appendonly yes",
            ),
        ),
        (Some("1"), Some("no")) => found(
            "appendfsync",
            Severity::Warning,
            (
                "appendfsync is no".into(),
                "a crash of the machine loses up to half a minute of jobs",
                "set appendfsync everysec, or always",
            ),
        ),
        _ => {}
    }
    let failed = |name: &&str| field(facts, name) == Some("err");
    if ["aof_last_write_status", "aof_last_bgrewrite_status", "rdb_last_bgsave_status"]
        .iter()
        .any(failed)
    {
        found(
            "persistence",
            Severity::Problem,
            (
                "the server could not write its data to disk".into(),
                "jobs are lost with a restart, and the server may refuse writes",
                "look at its log: the disk is full, or not writable",
            ),
        );
    }
    let replicas = number(facts, "connected_slaves").unwrap_or(0);
    if replicas > 0 && field(facts, "min_slaves_good_slaves").is_none() {
        found(
            "min_replicas",
            Severity::Warning,
            (
                format!(
                    "the server has {}, and min-replicas-to-write is 0",
                    many(replicas, "replica")
                ),
                "a primary that was replaced goes on taking jobs for a while, and they are lost when it \
             returns",
                "set min-replicas-to-write 1 and min-replicas-max-lag 2 or so",
            ),
        );
    }
}

fn clients(facts: &ServerFacts, nodes: u64, found: Found<'_>) {
    let (Some(now), Some(most)) = (number(facts, "connected_clients"), number(facts, "maxclients"))
    else {
        return;
    };
    if most > 0 && now.saturating_mul(100) / most >= CLIENTS {
        found(
            "clients",
            Severity::Warning,
            (
                format!(
                    "{now} of at most {most} clients are connected, with {}",
                    many(nodes, "node")
                ),
                "above the limit the server refuses connections, also those of heartbeats",
                "raise maxclients, or find the program that opens so many",
            ),
        );
    }
}

fn way(facts: &ServerFacts, found: Found<'_>) {
    if facts.clock_off > CLOCK {
        found(
            "clock",
            Severity::Warning,
            (
                format!(
                    "the clock of this host is {} away from the server's",
                    span(facts.clock_off)
                ),
                "nodes follow the server, but logs do not match, and a generated id is searched for at \
             the wrong time",
                "run a time service on this host and on the server",
            ),
        );
    }
    if !facts.is_private {
        found(
            "tls",
            Severity::Warning,
            (
                "the connection leaves this machine and is not encrypted".into(),
                "payloads and the password can be read on the way",
                "use a rediss:// address (feature tls), or keep the network private",
            ),
        );
    }
}

#[cfg(test)]
mod tests;
