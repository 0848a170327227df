//! The rules: each looks at the observed state, and finds what needs a person. Pure.

use std::collections::BTreeMap;
use std::time::Duration;

use poolder_core::Timestamp;

use crate::admin::attention::observed::{Observed, ObservedNode, ObservedQueue};
use crate::admin::finding::{Finding, Severity};
use crate::admin::words::{many, many_do, number, span, when};

/// A queue that grows, and whose first job has waited for longer than this, needs more slots.
const LONG_WAIT: Duration = Duration::from_secs(5 * 60);
/// A pause that is longer than this was perhaps forgotten.
const LONG_PAUSE: Duration = Duration::from_secs(60 * 60);
/// Nodes of two deploys that have run side by side for longer than this were forgotten.
const MIXED: Duration = Duration::from_secs(60 * 60);
/// The part in percent from which dead jobs or memory are nearly full.
const DEAD_NEARLY_FULL: u64 = 90;
const MEMORY_NEARLY_FULL: u64 = 85;
/// How many times as many attempts as in the hour before fail, and at least one in how many.
const FAILS_MORE: u64 = 5;
const FAILS_AT_LEAST: u64 = 100;
/// So few failures say nothing about a rate.
const FEWEST_FAILURES: u64 = 10;

/// Returns what needs a person, the worst first. The same rules are behind the doctor, the status
/// and the alerts.
///
/// ```
/// use poolder_client::{Observed, ObservedQueue, attention};
/// use poolder_core::QueueName;
///
/// let mut queue = ObservedQueue::new(QueueName::new("mail")?);
/// queue.waiting = 3_412;
/// let mut seen = Observed::default();
/// seen.queues.push(queue);
/// let found = attention(&seen);
/// assert_eq!(found[0].code, "not_served");
/// # Ok::<(), poolder_core::Error>(())
/// ```
#[must_use]
pub fn attention(seen: &Observed) -> Vec<Finding> {
    let mut findings = vec![];
    for queue in &seen.queues {
        let serving =
            |node: &&ObservedNode| !node.is_silent && node.kinds_of(&queue.queue).is_some();
        let serving: Vec<&ObservedNode> = seen.nodes.iter().filter(serving).collect();
        serving_rules(queue, &serving, &mut findings);
        kinds(queue, &serving, &mut findings);
        queue_rules(queue, seen.now, &mut findings);
        rates(queue, &mut findings);
        muted(queue, &mut findings);
    }
    silent(&seen.nodes, &mut findings);
    mixed(&seen.nodes, seen.now, &mut findings);
    server(seen, &mut findings);
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn of_queue(queue: &ObservedQueue) -> String {
    format!("queue {}", queue.queue)
}

fn serving_rules(queue: &ObservedQueue, serving: &[&ObservedNode], findings: &mut Vec<Finding>) {
    if queue.waiting > 0 && serving.is_empty() {
        findings.push(Finding::new(
            "not_served",
            Severity::Problem,
            of_queue(queue),
            (
                format!(
                    "{}, and no living node serves the queue",
                    many_do(queue.waiting, "job", "wait")
                ),
                "they wait until a node comes",
                "start a node with a pool for this queue, in the same namespace",
            ),
        ));
    }
    if queue.is_led == Some(false) && !serving.is_empty() {
        findings.push(Finding::new("no_leader", Severity::Problem, of_queue(queue), (
            format!("{} the queue, and none leads it", many_do(serving.len() as u64, "node", "serve")),
            "due jobs, retries and ticks are not moved, and jobs of dead nodes not rescued",
            "look at the logs of the nodes: the election fails. It takes a few seconds after a start",
        )));
    }
}

fn kinds(queue: &ObservedQueue, serving: &[&ObservedNode], findings: &mut Vec<Finding>) {
    let known: Option<Vec<_>> =
        serving.iter().filter_map(|node| node.kinds_of(&queue.queue)).collect();
    // Where a node does not say what it knows, no job can be called unknown.
    let Some(known) = known.filter(|known| !known.is_empty()) else { return };
    let best = |kind: &str| {
        let all = known.iter().copied().flatten();
        all.filter(|(name, _)| name == kind).map(|(_, version)| *version).max()
    };
    for ((kind, version), jobs) in &queue.kinds {
        let why = match best(kind) {
            Some(best) if best >= *version => continue,
            Some(best) => format!("the nodes know v{best} at most"),
            None => "no node of the queue has it".to_owned(),
        };
        let need = many_do(*jobs, "waiting job", "need");
        findings.push(Finding::new(
            "unknown_kind",
            Severity::Problem,
            of_queue(queue),
            (
                format!("{need} {kind} v{version}: {why}"),
                "they are put off again and again until a node knows the kind",
                "deploy the worker for this kind and version, or delete the jobs",
            ),
        ));
    }
}

fn queue_rules(queue: &ObservedQueue, now: Timestamp, findings: &mut Vec<Finding>) {
    let mut found = |code, severity, texts: (String, &str, &str)| {
        findings.push(Finding::new(code, severity, of_queue(queue), texts));
    };
    if let Some(since) = queue.paused.filter(|since| now.since(*since) > LONG_PAUSE) {
        found(
            "long_pause",
            Severity::Warning,
            (
                format!("the queue was paused {}", when(since, now)),
                "nothing is claimed until it is resumed",
                "resume it, if the reason for the pause is gone",
            ),
        );
    }
    let (dead, most) = queue.dead;
    if most > 0 && dead.saturating_mul(100) / most >= DEAD_NEARLY_FULL {
        let gone = match queue.dropped {
            0 => String::new(),
            dropped => format!("; {dropped} were dropped so far"),
        };
        found(
            "dead_full",
            Severity::Warning,
            (
                format!("{dead} jobs are dead, of {most} that are kept by default{gone}"),
                "when the set is full, the oldest are dropped",
                "revive or delete them; look at the groups of their errors",
            ),
        );
    }
    if queue.suspects > 0 {
        found(
            "suspects",
            Severity::Warning,
            (
                match queue.suspects {
                    1 => "1 suspect waits or runs".to_owned(),
                    count => format!("{count} suspects wait or run"),
                },
                "nodes have died while these jobs ran; each node runs one of them at a time",
                "look at the blast radius of each; cancel the one that kills nodes",
            ),
        );
    }
    if queue.late_schedules > 0 && queue.paused.is_none() {
        let are = if queue.late_schedules == 1 { "is" } else { "are" };
        found(
            "late_schedules",
            Severity::Problem,
            (
                format!("{} {are} more than a minute late", many(queue.late_schedules, "schedule")),
                "their jobs are not enqueued",
                "start a node that serves the queue, whose leader publishes ticks; look at its log",
            ),
        );
    }
}

fn rates(queue: &ObservedQueue, findings: &mut Vec<Finding>) {
    let mut found = |code, severity, texts: (String, &str, &str)| {
        findings.push(Finding::new(code, severity, of_queue(queue), texts));
    };
    let grows = queue.flow.is_some_and(|flow| flow.in_per_second > flow.done_per_second);
    if let Some(oldest) = queue.oldest.filter(|oldest| grows && *oldest > LONG_WAIT)
        && queue.paused.is_none()
    {
        found(
            "growing",
            Severity::Problem,
            (
                format!("the queue grows, and its first job has waited for {}", span(oldest)),
                "jobs start later and later",
                "add slots or nodes, or find out why its jobs take longer than before",
            ),
        );
    }
    if let Some(rates) = queue.failures {
        let ((attempts, failed), (all_before, before)) = (rates.recent, rates.before);
        let [failed_now, before_now] = [(failed, all_before), (before, attempts)]
            .map(|(part, whole)| u128::from(part) * u128::from(whole));
        let more = failed_now >= u128::from(FAILS_MORE).saturating_mul(before_now);
        let enough = failed >= FEWEST_FAILURES && failed.saturating_mul(FAILS_AT_LEAST) >= attempts;
        if attempts > 0 && enough && more {
            let percent = |part: u64, all: u64| part as f64 * 100.0 / all.max(1) as f64;
            found(
                "failing",
                Severity::Problem,
                (
                    format!(
                        "{:.1} % of {} attempts failed, {:.1} % in the hour before",
                        percent(failed, attempts),
                        number(attempts),
                        percent(before, all_before)
                    ),
                    "jobs are tried again and again, and die when their attempts are used up",
                    "look at the groups of their errors, and at the last deploy",
                ),
            );
        }
    }
    for error in &queue.new_errors {
        found(
            "new_error",
            Severity::Warning,
            (
                format!(
                    "{} failed {} with an error that is new since deploy {}: {}",
                    error.kind,
                    many(error.count, "time"),
                    error.deploy,
                    error.message
                ),
                "the deploy has probably brought it",
                "look at the deploy; roll it back if it must be",
            ),
        );
    }
}

fn muted(queue: &ObservedQueue, findings: &mut Vec<Finding>) {
    if queue.muted_errors > 0 {
        let are = if queue.muted_errors == 1 { "is" } else { "are" };
        findings.push(Finding::new(
            "muted_errors",
            Severity::Note,
            of_queue(queue),
            (
                format!("{} {are} muted", many(queue.muted_errors, "error")),
                "their failures count for no other finding until their mutes end",
                "nothing, if that is meant: poolder error ls shows them, and poolder error unmute \
                 ends a mute",
            ),
        ));
    }
}

fn silent(nodes: &[ObservedNode], findings: &mut Vec<Finding>) {
    for node in nodes.iter().filter(|node| node.is_silent) {
        let subject = format!("node {}", node.name);
        findings.push(Finding::new("silent_node", Severity::Warning, subject, (
            format!("it has been silent for {}", span(node.silent)),
            "its jobs wait until another node has declared it dead and takes them back",
            "look at its host: it was killed, hangs, or is cut off. If no node lives, start one, \
             which takes over",
        )));
    }
}

fn mixed(nodes: &[ObservedNode], now: Timestamp, findings: &mut Vec<Finding>) {
    let mut deploys: BTreeMap<&str, (u64, Timestamp)> = BTreeMap::new();
    for node in nodes.iter().filter(|node| !node.is_silent && !node.deploy.is_empty()) {
        let started = node.started.unwrap_or(now);
        let entry = deploys.entry(&node.deploy).or_insert((0, started));
        *entry = (entry.0 + 1, entry.1.min(started));
    }
    // The deploy that began last is the newest; the others should be gone soon after.
    let Some(newest) = deploys.values().map(|(_, started)| *started).max() else { return };
    if deploys.len() < 2 || now.since(newest) <= MIXED {
        return;
    }
    let list = deploys.iter().map(|(name, (count, _))| format!("{name}: {}", many(*count, "node")));
    findings.push(Finding::new(
        "mixed_deploys",
        Severity::Warning,
        "fleet".into(),
        (
            format!(
                "{} have run side by side for {} ({})",
                many(deploys.len() as u64, "deploy"),
                span(now.since(newest)),
                list.collect::<Vec<_>>().join(", ")
            ),
            "jobs of a new kind or version wait for the nodes that know it, and old code runs on",
            "finish the deploy, or stop the nodes of the old one",
        ),
    ));
}

fn server(seen: &Observed, findings: &mut Vec<Finding>) {
    let mut found = |code, severity, texts: (String, &str, &str)| {
        findings.push(Finding::new(code, severity, "server".into(), texts));
    };
    let (used, most) = seen.memory.unwrap_or_default();
    let percent = used.saturating_mul(100).checked_div(most).unwrap_or(0);
    if percent >= MEMORY_NEARLY_FULL {
        found(
            "memory",
            Severity::Problem,
            (
                format!("{percent} % of the memory is in use: {used} of {most} bytes"),
                "a full server refuses new jobs",
                "drain or purge what is not needed, raise maxmemory, or add workers",
            ),
        );
    }
    if matches!(seen.policy.as_str(), "" | "noeviction") {
        return;
    }
    if most > 0 {
        found(
            "eviction",
            Severity::Problem,
            (
                format!("maxmemory-policy is {}", seen.policy),
                "the server throws jobs away when memory is short",
                "set maxmemory-policy noeviction",
            ),
        );
    } else {
        found(
            "eviction",
            Severity::Warning,
            (
                format!("maxmemory-policy is {}, and maxmemory is 0", seen.policy),
                "once a limit is set, the server throws jobs away when memory is short",
                "set maxmemory-policy noeviction",
            ),
        );
    }
}

#[cfg(test)]
mod tests;
