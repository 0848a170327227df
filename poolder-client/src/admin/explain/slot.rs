//! A job that is ready in a slot of an addressed pool: one node holds the slot, and runs one job
//! after another.

use poolder_core::{EntryId, Lane};

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::{Facts, OtherJob, SlotSeen};
use crate::admin::explain::running::{NodeState, node_state};
use crate::admin::words::{many, span, when};

/// Checks the pool, the slot, its holder, and the jobs before this one.
pub(super) fn check(facts: &Facts, slot: &SlotSeen, checks: &mut Checks) {
    stopped(slot, checks);
    held(facts, slot, checks);
    generation(facts, slot, checks);
    hold(facts, slot, checks);
    before(facts, slot, checks);
}

const LEASE: &str = "HMGET lease";
const POOL: &str = "HMGET meta of slot 0";

fn stopped(slot: &SlotSeen, checks: &mut Checks) {
    let index = slot.index;
    if slot.pool_stopped {
        let text = "the whole pool is stopped".to_owned();
        let hint = "start the pool again";
        checks.fail("stopped", POOL, (Why::PoolStopped, text), None, Some(hint.into()));
    } else if slot.stopped {
        let text = format!("slot {index}, to which the job was cast, is stopped");
        let hint = "start the slot again";
        checks.fail("stopped", LEASE, (Why::SlotStopped, text), None, Some(hint.into()));
    } else {
        checks.pass("stopped", LEASE, format!("slot {index} is not stopped"));
    }
}

fn held(facts: &Facts, slot: &SlotSeen, checks: &mut Checks) {
    let index = slot.index;
    let Some(holder) = &slot.holder else {
        let text = match index < slot.tail {
            true => format!("no node holds slot {index}"),
            false => format!(
                "slot {index} is out of service since the pool has {}: a node looks after such \
                 slots in turn, and runs what it finds",
                many(slot.size.into(), "slot")
            ),
        };
        let hint =
            "a node that serves the pool takes it within seconds: start one if there is none";
        checks.fail("slot", LEASE, (Why::SlotFree, text), None, Some(hint.into()));
        return;
    };
    let (state, until) =
        slot.holder_seen.map_or((NodeState::Stranger, None), |seen| node_state(seen, facts.now));
    let text = match state {
        NodeState::Alive(_) => {
            checks.pass("slot", LEASE, format!("node {holder} holds slot {index}"));
            return;
        }
        NodeState::Silent(silence) => format!("is silent for {}", span(silence)),
        NodeState::Marked(at) => format!("was declared dead {}", when(at, facts.now)),
        NodeState::Stranger => "is not in the roster".into(),
    };
    let text = format!(
        "node {holder}, which holds slot {index}, {text}: another node takes the slot over once \
         it is declared dead"
    );
    checks.fail("slot", LEASE, (Why::HolderGone, text), until, None);
}

fn generation(facts: &Facts, slot: &SlotSeen, checks: &mut Checks) {
    let is_later = match (&facts.job.entry, &slot.edge) {
        (Some(entry), Some(edge)) => is_after(entry, edge),
        _ => true,
    };
    if slot.open || !slot.is_keyed || facts.job.lane == Lane::Front || !is_later {
        checks.pass("resize", POOL, "no resize of the pool holds it up".into());
        return;
    }
    let text = "the pool was resized: jobs stored since then wait until all slots have run those \
                from before, so that no key is in two slots"
        .to_owned();
    let hint = "a slot that is stopped, or whose job hangs, holds up the resize";
    checks.fail("resize", POOL, (Why::Resizing, text), None, Some(hint.into()));
}

/// Returns true when an entry comes after another.
fn is_after(entry: &EntryId, edge: &EntryId) -> bool {
    let numbers = |id: &EntryId| {
        let (ms, seq) = id.split_once('-')?;
        Some((ms.parse::<u64>().ok()?, seq.parse::<u64>().ok()?))
    };
    numbers(entry) > numbers(edge)
}

fn hold(facts: &Facts, slot: &SlotSeen, checks: &mut Checks) {
    let Some(until) = slot.hold.filter(|until| *until > facts.now) else {
        checks.pass("hold", LEASE, "no retry blocks the slot".into());
        return;
    };
    let own = slot.held.is_some() && slot.held == facts.job.entry;
    let text = match own {
        true => {
            format!("its next attempt starts {}, and its slot waits for it", when(until, facts.now))
        }
        false => format!(
            "a retry in front blocks the slot, its attempt starts {}",
            when(until, facts.now)
        ),
    };
    let why = if own { Why::Retrying } else { Why::Held };
    checks.fail("hold", LEASE, (why, text), Some(until), None);
}

fn before(facts: &Facts, slot: &SlotSeen, checks: &mut Checks) {
    let front = match facts.job.lane {
        Lane::Front => 0,
        _ => facts.queue.of(Lane::Front).0,
    };
    let ahead = facts.ahead.map_or(0, |(ahead, _)| ahead) + front;
    let first = facts.longest.as_ref().map(|job| (job, "runs")).or_else(|| {
        slot.front.as_ref().filter(|job| job.id != facts.job.id).map(|job| (job, "is next"))
    });
    let Some((first, does)) = first else {
        checks.pass("place", READ, "it is the first of its slot".into());
        return;
    };
    let text =
        format!("{} {does} in slot {}{}", name(first), slot.index, rest(ahead, facts, first));
    let same = slot.is_keyed && first.key.is_some() && first.key == facts.job.key;
    let (why, text) = match same {
        true => {
            (Why::SameKey, format!("{text}; it has the same key, and jobs of a key run in order"))
        }
        false => (Why::BehindOthers, text),
    };
    checks.fail("place", READ, (why, text), None, None);
}

const READ: &str = "XPENDING and XRANGE of the lanes front and normal";

fn name(job: &OtherJob) -> String {
    format!("{} {}", job.kind, job.id)
}

fn rest(ahead: u64, facts: &Facts, first: &OtherJob) -> String {
    let running = facts.longest.as_ref().is_some_and(|longest| longest.id == first.id);
    let since = match running {
        true => format!(" for {}", span(facts.now.since(first.since))),
        false => String::new(),
    };
    match ahead.saturating_sub(u64::from(!running)) {
        0 => since,
        jobs => format!("{since}, then {} before this one", many(jobs, "other job")),
    }
}
