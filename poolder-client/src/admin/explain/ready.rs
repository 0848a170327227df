//! A job that is ready in a shared queue: the jobs before it, the slots, and who claims.

use std::time::Duration;

use poolder_core::{Lane, Timestamp};

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::{Facts, OtherJob};
use crate::admin::words::{many, many_do, span, when};

/// Nodes read their lanes at least this often while slots are free. A consumer that was idle for
/// longer, while jobs wait and slots are free, does not claim.
const CLAIMS: Duration = Duration::from_secs(10);

/// Checks the place of a suspect: a node runs one at a time.
pub(super) fn suspect(facts: &Facts, checks: &mut Checks) {
    let (_, running, _) = facts.queue.of(Lane::Suspect);
    let nodes = facts.nodes.iter().filter(|node| !node.is_silent).count() as u64;
    let before = facts.ahead.map_or(0, |(ahead, _)| ahead);
    let text = format!(
        "{} died while it ran: it is a suspect, of which a node runs one at a time; {}, {before} \
         before it",
        many(u64::from(facts.job.crashes), "node"),
        many_do(running, "suspect", "run"),
    );
    if before > 0 || (running > 0 && running >= nodes) {
        let hint = "if it is this job that kills nodes, cancel it; see the blast radius";
        checks.fail("suspect", LANES, (Why::Suspect, text), None, Some(hint.into()));
    } else {
        checks.pass("suspect", LANES, text);
    }
}

/// Checks the jobs before this one, the slots, and that nodes claim.
pub(super) fn check(facts: &Facts, checks: &mut Checks) {
    let (lane, now) = (facts.job.lane, facts.now);
    let better: u64 =
        Lane::ALL.into_iter().take(lane.index()).map(|lane| facts.queue.of(lane).0).sum();
    let (before, exact) = facts.ahead.unwrap_or((0, true));
    let slots: u64 = facts.nodes.iter().filter(|node| !node.is_silent).map(|node| node.slots).sum();
    let busy = facts.queue.running() >= slots;
    let stalled = stalled(facts, busy);
    let start = about_when(facts);

    let text = match better {
        0 => "no job waits in a lane that is served before".to_owned(),
        jobs => format!("{} in lanes that are served before", many_do(jobs, "job", "wait")),
    };
    // Where slots are free and nothing is claimed, other jobs are not the reason.
    if better > 0 && stalled.is_none() {
        checks.fail("lanes", LANES, (Why::BehindOthers, text), None, None);
    } else {
        checks.pass("lanes", LANES, text);
    }
    let about = if exact { "" } else { "about " };
    let mut text = match before {
        0 => format!("it is the first of lane {lane}"),
        jobs => format!("{about}{} before it in lane {lane}", many_do(jobs, "job", "wait")),
    };
    if before > 0 && stalled.is_none() {
        if let Some(at) = start {
            text.push_str(&format!("; it starts about {}", when(at, now)));
        }
        checks.fail("place", "XRANGE of the lane", (Why::BehindOthers, text), start, None);
    } else {
        checks.pass("place", "XRANGE of the lane", text);
    }
    let running = facts.queue.running();
    let text = format!("busy slots: {running} of {slots}{}", longest(facts));
    if busy && slots > 0 {
        let hint = "add slots or nodes if jobs wait for too long";
        checks.fail("slots", SLOTS, (Why::SlotsBusy, text), None, Some(hint.into()));
    } else {
        checks.pass("slots", SLOTS, text);
    }
    match stalled {
        None => {
            let lives = facts.nodes.iter().any(|node| !node.is_silent);
            let text =
                if lives { "the nodes read the lane" } else { "no node is there to claim it" };
            checks.pass("claims", CONSUMERS, text.into());
        }
        Some(text) => {
            let hint = "run the doctor: rights, a missing group, or a node that hangs";
            checks.fail("claims", CONSUMERS, (Why::Unclear, text), None, Some(hint.into()));
        }
    }
}

const LANES: &str = "XLEN and XINFO GROUPS of all lanes";
pub(super) const SLOTS: &str = "XINFO GROUPS of all lanes, roster about";
const CONSUMERS: &str = "XINFO GROUPS and CONSUMERS of the lane";

/// Returns why no node claims from the lane although slots are free; `None` when nodes do, or have
/// no reason to.
fn stalled(facts: &Facts, busy: bool) -> Option<String> {
    let lane = facts.job.lane;
    if !facts.lane.is_stream {
        return Some(format!("the key of lane {lane} holds another type of value than a stream"));
    }
    let waited = facts.now.since(facts.job.at);
    if busy || facts.queue.paused.is_some() || waited < CLAIMS {
        return None;
    }
    if !facts.lane.has_group {
        return Some(format!(
            "slots are free, and lane {lane} has no consumer group: no node has read it yet"
        ));
    }
    match facts.lane.idle {
        None => Some(format!("slots are free, and no node has read lane {lane}")),
        Some(idle) if idle >= CLAIMS => Some(format!(
            "slots are free, and none of the {} has read lane {lane} for {}",
            many(facts.lane.consumers, "node"),
            span(idle)
        )),
        Some(_) => None,
    }
}

/// Returns about when a job starts: it waits as long in its lane as the first job there has.
fn about_when(facts: &Facts) -> Option<Timestamp> {
    let (_, _, oldest) = facts.queue.of(facts.job.lane);
    let start = facts.job.at + facts.now.since(oldest?);
    (start > facts.now).then_some(start)
}

pub(super) fn longest(facts: &Facts) -> String {
    facts.longest.as_ref().map(|job| format!("; {}", said(job, facts.now))).unwrap_or_default()
}

/// Says what another job is, and for how long it has run.
pub(super) fn said(job: &OtherJob, now: Timestamp) -> String {
    let on = job.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
    format!("the first of them is {} {}{on}, for {}", job.kind, job.id, span(now.since(job.since)))
}
