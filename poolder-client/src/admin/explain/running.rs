//! A job that runs: on which node, since when, for how long yet, and whether that node lives.

use std::time::Duration;

use poolder_core::Timestamp;

use crate::admin::explain::checks::Checks;
use crate::admin::explain::explanation::Why;
use crate::admin::explain::facts::{Facts, RunnerSeen};
use crate::admin::words::{span, when};

/// The time without a beat after which a node is reported as silent.
const SILENT: Duration = Duration::from_secs(8);
/// The time from then until another node has seen it silent twice, and has taken back its jobs.
const CONFIRMED: Duration = Duration::from_secs(5);
/// The jobs of a consumer that the roster does not know are taken back when it was idle this long.
const STRANGER_IDLE: Duration = Duration::from_secs(10 * 60);

/// Checks the node of a running job.
pub(super) fn check(facts: &Facts, checks: &mut Checks) {
    let name = facts.job.node.as_deref().unwrap_or("a node without a name");
    let others = facts.nodes.iter().any(|node| node.name != name && !node.is_silent);
    let (state, rescue) = match facts.runner {
        Some(runner) => node_state(runner, facts.now),
        None => (NodeState::Alive(Duration::ZERO), None),
    };
    let text = match state {
        NodeState::Alive(beat) => {
            let text = format!("{}; the node's last beat was {} ago", sentence(facts), span(beat));
            checks.pass("running", READ, text);
            return;
        }
        NodeState::Silent(beat) => {
            format!("node {name}, which runs it, is silent for {}", span(beat))
        }
        NodeState::Marked(at) => {
            format!("node {name}, which runs it, was declared dead {}", when(at, facts.now))
        }
        NodeState::Stranger => format!("node {name}, which runs it, is not in the roster"),
    };
    let until = rescue.filter(|_| others);
    let text = match until {
        Some(at) => {
            format!("{text}; another node takes the job back about {}", when(at, facts.now))
        }
        None => format!("{text}, and no other node lives that could take the job back"),
    };
    let hint = (!others).then(|| "start a node that serves the queue".to_owned());
    checks.fail("running", READ, (Why::OnSilentNode, text), until, hint);
}

const READ: &str = "XPENDING of the lane, roster nodes and marks";

/// Says where and for how long a job has run, and how much of its time is left.
pub(super) fn sentence(facts: &Facts) -> String {
    let job = &facts.job;
    let node = job.node.as_deref().unwrap_or("a node without a name");
    let ran = facts.now.since(job.at);
    let mut text = format!("it runs on node {node} for {}, attempt {}", span(ran), job.attempt);
    match job.policy {
        Some((attempts, timeout)) => {
            text.push_str(&format!(" of {attempts}"));
            match timeout {
                Some(timeout) if timeout > ran => {
                    text.push_str(&format!(", {} of its timeout are left", span(timeout - ran)));
                }
                Some(timeout) => {
                    text.push_str(&format!(", its timeout of {} is over", span(timeout)));
                }
                None => text.push_str(", without a timeout"),
            }
        }
        None => text.push_str(", with the timeout of its pool"),
    }
    if let Some((done, total)) = job.progress {
        text.push_str(&format!(", {done} of {total} done"));
    }
    text
}

/// The state of a node in the roster.
pub(super) enum NodeState {
    /// It beats; the time since the last beat.
    Alive(Duration),
    /// It has not beaten for this long.
    Silent(Duration),
    /// It was declared dead at this time.
    Marked(Timestamp),
    /// The roster does not know it.
    Stranger,
}

/// Returns the state of a node, and about when its jobs are taken back if it does not live.
pub(super) fn node_state(runner: RunnerSeen, now: Timestamp) -> (NodeState, Option<Timestamp>) {
    if let Some(at) = runner.marked {
        return (NodeState::Marked(at), Some(now.max(at + CONFIRMED)));
    }
    let Some(beat) = runner.beat else {
        let idle = runner.idle.unwrap_or_default();
        return (NodeState::Stranger, Some(now + STRANGER_IDLE.saturating_sub(idle)));
    };
    let silence = now.since(beat);
    if silence < SILENT {
        return (NodeState::Alive(silence), None);
    }
    (NodeState::Silent(silence), Some(now.max(beat + SILENT + CONFIRMED)))
}
