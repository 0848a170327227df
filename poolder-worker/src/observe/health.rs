//! Whether a node is live and ready.

use std::time::Duration;

use serde::Serialize;

/// How much older than valid the last acknowledged heartbeat of a ready node may be. After this time
/// other nodes may declare the node dead.
const SLACK: Duration = Duration::from_secs(2);

/// How far the life of a node has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum NodePhase {
    /// The node was built, and does not run yet.
    Built,
    /// The node waits for Redis to answer and for its hooks. It claims no jobs.
    Starting,
    /// The node claims and runs jobs.
    Running,
    /// An operator has ordered the node to take no more jobs: its running jobs finish, and its
    /// process goes on.
    Quiet,
    /// The node stops: it claims no more jobs, and its running jobs may finish.
    Draining,
    /// The node has ended.
    Ended,
}

/// The health of a node, as `/livez` and `/readyz` tell it. Made by
/// [`NodeHandle::health`](crate::NodeHandle::health).
///
/// Serialized as the object that `/statusz` shows as `health`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Health {
    /// False when the process should be restarted: the runtime has not polled its tasks for the
    /// longest timeout of a job and a minute, or the node has ended. It does not depend on Redis,
    /// since a restart would not bring Redis back.
    pub live: bool,
    /// True while the node may claim jobs: it runs, and Redis has acknowledged a heartbeat within
    /// the last 8 s.
    pub ready: bool,
    /// Why the node is not live or not ready; `None` when it is both.
    pub reason: Option<String>,
}

/// The facts on which the health of a node depends.
#[derive(Debug, Clone, Copy)]
pub(super) struct Facts {
    pub(super) phase: NodePhase,
    /// True while the runtime polls its tasks.
    pub(super) ticks: bool,
    /// The age of the last acknowledged heartbeat, and how long it was valid; `None` when there is
    /// none, as after the node was declared dead.
    pub(super) beat: Option<(Duration, Duration)>,
}

impl Health {
    pub(super) fn of(facts: Facts) -> Self {
        let Facts { phase, ticks, beat } = facts;
        let live = ticks && phase != NodePhase::Ended;
        let reason = if phase == NodePhase::Ended {
            Some("the node has ended".to_owned())
        } else if !ticks {
            Some("the runtime does not poll its tasks: a handler blocks its threads".to_owned())
        } else {
            not_ready(phase, beat)
        };
        Self { live, ready: reason.is_none(), reason }
    }
}

/// Returns why a live node is not ready.
fn not_ready(phase: NodePhase, beat: Option<(Duration, Duration)>) -> Option<String> {
    let text = match (phase, beat) {
        (NodePhase::Built, _) => "the node has not been started".into(),
        (NodePhase::Starting, _) => {
            "the node starts: it waits for Redis to answer, or for its hooks".into()
        }
        (NodePhase::Quiet, _) => "an operator has quieted the node: it claims no more jobs".into(),
        (NodePhase::Draining, _) => "the node stops: it claims no more jobs".into(),
        (NodePhase::Running | NodePhase::Ended, Some((age, valid))) if age < valid + SLACK => {
            return None;
        }
        (_, Some((age, _))) => {
            format!("Redis has acknowledged no heartbeat for {} s", age.as_secs())
        }
        (_, None) => {
            "Redis has not acknowledged a heartbeat yet, or the node was declared dead and returns"
                .into()
        }
    };
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health(phase: NodePhase, ticks: bool, beat: Option<u64>) -> (bool, bool, String) {
        let beat = beat.map(|age| (Duration::from_millis(age), Duration::from_secs(6)));
        let health = Health::of(Facts { phase, ticks, beat });
        assert_eq!(health.ready, health.reason.is_none());
        (health.live, health.ready, health.reason.unwrap_or_default())
    }

    #[test]
    fn a_node_is_ready_while_it_runs_and_its_heartbeats_are_acknowledged() {
        use NodePhase::*;
        assert_eq!(health(Running, true, Some(0)), (true, true, String::new()));
        assert_eq!(health(Running, true, Some(7_999)), (true, true, String::new()));
        let (live, ready, reason) = health(Running, true, Some(8_000));
        assert!(live && !ready && reason.contains("no heartbeat for 8 s"), "{reason}");
        assert!(!health(Running, true, None).1);
        for phase in [Built, Starting, Quiet, Draining] {
            assert_eq!(
                (health(phase, true, Some(0)).0, health(phase, true, Some(0)).1),
                (true, false)
            );
        }
        assert!(health(Draining, true, Some(0)).2.contains("stops"));
    }

    #[test]
    fn a_node_is_not_live_when_its_runtime_is_stuck_or_it_has_ended() {
        for phase in [NodePhase::Starting, NodePhase::Running, NodePhase::Draining] {
            let (live, ready, reason) = health(phase, false, Some(0));
            assert!(!live && !ready && reason.contains("blocks"), "{reason}");
        }
        assert_eq!(
            health(NodePhase::Ended, true, Some(0)),
            (false, false, "the node has ended".into())
        );
    }

    #[test]
    fn redis_that_is_away_makes_a_node_unready_and_keeps_it_live() {
        for beat in [None, Some(u64::MAX)] {
            assert!(health(NodePhase::Running, true, beat).0);
        }
    }
}
