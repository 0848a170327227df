//! Short runs of one scene each, in which a single guard prevents a violation after a fault. The
//! drill must fail without the guard, and succeed with it.

use std::path::PathBuf;
use std::time::Duration;

use poolder_devserver::Fsync;

use crate::bad::Bad;
use crate::beside::Beside;
use crate::checker::Verdict;
use crate::extremes::Extremes;
use crate::job::Act;
use crate::keys::Keys;
use crate::ledger::How;
use crate::plan::{Fault, Planned, Profile};
use crate::proxy::{Loss, Lost};
use crate::staged::Staged;
use crate::storm::Setup;
use crate::ticks::Ticks;
use crate::uniques::Uniques;
use crate::{emptied, profiles, rollback, runs};

/// The scene of a drill.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Drill {
    /// A node is paused, loses its jobs, and finishes them after it wakes up.
    Zombie,
    /// The consumer groups are lost: nodes claim entries that other nodes hold.
    GivenTwice,
    /// The server is killed while jobs run, so that they end in another history of the server.
    Restart,
    /// The replies to claims are lost.
    LostClaims,
    /// A job kills its process each time.
    Killer,
    /// The replies to idempotent enqueues are lost.
    LostReceipts,
    /// The `Drop` of futures and errors of handlers panics.
    Bombs,
    /// Handlers panic again and again.
    Panics,
    /// `handle_error` never returns.
    Hanging,
    /// Calls with extreme settings.
    Extremes,
    /// The request of a tick arrives long after the leader has continued without it.
    LateTick,
    /// The poll of a slot's holder arrives after the holder has left and another node holds the
    /// slot.
    LatePoll,
    /// The server forgets its last writes, and another job gets the id of a running one. Another
    /// node claims the other job.
    Rollback,
    /// As `Rollback`, but the same node claims the other job.
    RollbackAlone,
    /// The primary of the roster in a cluster hangs for longer than a lease, and is replaced.
    HungCluster,
    /// The primary behind Sentinels hangs for longer than a lease, with the first Sentinel, and is
    /// replaced.
    HungSentinel,
    /// The server is out of memory while jobs wait, and stays so.
    Full,
    /// The server loses its data under a node.
    Emptied,
    /// The polls of a slot's holder arrive after later ones of the same holder.
    StalePoll,
    /// Unique jobs of every rule, of which one node is killed.
    Unique,
    /// A drill that consists of a few steps.
    Staged(Staged),
}

impl Drill {
    /// Runs the drill without the guard `mutation`; with all guards if it is empty.
    pub(crate) async fn run(self, mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
        let nodes = match self {
            Self::Rollback => 2,
            Self::RollbackAlone => 1,
            Self::Emptied => return emptied::run(mutation, folder).await,
            Self::Staged(drill) => return drill.run(mutation, folder).await,
            _ => {
                let setup = self.setup(mutation, folder);
                let report = runs::run(&format!("{self:?}"), &setup).await?;
                if report.faults_happened == 0 && report.faults_planned > 0 {
                    return Err("none of its faults came about".into());
                }
                return Ok(report.verdict);
            }
        };
        rollback::run(nodes, mutation, folder).await
    }

    fn setup(self, mutation: &str, folder: PathBuf) -> Setup {
        let at = |millis, fault| Planned { at: Duration::from_millis(millis), fault };
        let usual = Setup {
            profile: Profile::Standalone,
            seed: 1,
            span: Duration::from_secs(5),
            plan: vec![],
            jobs: 8,
            nodes: 2,
            slots: 4,
            producers: 1,
            millis: 3_000,
            killers: 0,
            ways: vec![How::Plain],
            acts: vec![Act::Done],
            mutation: mutation.to_owned(),
            beside: Beside::default(),
            fsync: Fsync::Always,
            drain: Duration::from_secs(25),
            folder,
        };
        let alone = Setup { jobs: 0, producers: 0, ..usual.clone() };
        match self {
            Self::Zombie => Setup {
                span: Duration::from_secs(8),
                plan: vec![at(
                    4_000,
                    Fault::Freeze { victim: 0, lasting: Duration::from_secs(18) },
                )],
                jobs: 24,
                millis: 2_500,
                ..usual
            },
            Self::GivenTwice => Setup {
                plan: vec![at(2_500, Fault::DestroyGroups)],
                jobs: 4,
                acts: vec![Act::Fail(1)],
                ..usual
            },
            Self::Restart => Setup {
                plan: vec![at(4_000, Fault::KillServer { away: Duration::from_millis(100) })],
                ..usual
            },
            Self::LostClaims => {
                let loss = Loss { command: "XREADGROUP", after: 1, what: Lost::Reply, cut: true };
                let lose = |millis| {
                    let loss = loss.clone();
                    at(millis, Fault::Lose { victim: 0, of_producer: false, loss })
                };
                let plan = (0..8).map(|time| lose(1_000 + time * 400)).collect();
                Setup { plan, jobs: 60, millis: 50, ..usual }
            }
            Self::Killer => Setup {
                jobs: 1,
                millis: 20,
                acts: vec![Act::Killer],
                // Three crashes, each noticed within 12 s.
                drain: Duration::from_secs(50),
                ..usual
            },
            Self::LostReceipts => {
                let loss = Loss { command: "enqueue", after: 0, what: Lost::Reply, cut: true };
                let lose = |millis| {
                    let loss = loss.clone();
                    at(millis, Fault::Lose { victim: 0, of_producer: true, loss })
                };
                let plan = (0..5).map(|time| lose(500 + time * 500)).collect();
                Setup { plan, jobs: 40, millis: 10, ways: vec![How::Idempotent], ..usual }
            }
            Self::Bombs => Setup {
                jobs: 12,
                acts: [Bad::TimeoutBomb, Bad::CancelBomb, Bad::ErrorBomb].map(Act::Bad).to_vec(),
                ..usual
            },
            Self::Panics => Setup { jobs: 40, millis: 20, acts: vec![Act::Panic], ..usual },
            Self::Hanging => Setup {
                jobs: 1,
                acts: vec![Act::Bad(Bad::JudgeHangs)],
                // A callback has 30 s.
                drain: Duration::from_secs(45),
                ..usual
            },
            Self::Extremes => Setup {
                span: Duration::from_secs(10),
                beside: Beside { extremes: Some(Extremes { calls: 200 }), ..Beside::default() },
                ..alone
            },
            Self::LateTick => {
                let loss = Loss { command: "tick", after: 2, what: Lost::Time, cut: true };
                Setup {
                    span: Duration::from_secs(18),
                    plan: vec![at(4_000, Fault::Lose { victim: 0, of_producer: false, loss })],
                    beside: Beside {
                        ticks: Some(Ticks { every: 200, count: None }),
                        ..Beside::default()
                    },
                    ..alone
                }
            }
            Self::LatePoll => {
                let loss = Loss { command: "slot_poll", after: 3, what: Lost::Time, cut: true };
                let lose = Fault::Lose { victim: 0, of_producer: false, loss };
                // The sender of the poll stops, and other nodes take its slots before the poll
                // arrives.
                let term = |victim| Fault::Term { victim, away: Duration::ZERO };
                let mut plan: Vec<Planned> = (0..4).map(|_| at(4_000, lose.clone())).collect();
                plan.extend((0..3).map(|node| at(5_000 + 500 * node, term(node))));
                Setup {
                    nodes: 3,
                    span: Duration::from_secs(20),
                    plan,
                    beside: Beside {
                        keys: Some(Keys { jobs: 120, ..Keys::of(2) }),
                        ..Beside::default()
                    },
                    ..alone
                }
            }
            Self::StalePoll => {
                let loss = Loss { command: "slot_poll", after: 3, what: Lost::Time, cut: true };
                let lose = Fault::Lose { victim: 0, of_producer: false, loss };
                // Jobs are always ready: a late poll claims those that the next poll would claim.
                let keys = Keys { jobs: 150, slots: 2, ..Keys::of(1) };
                Setup {
                    nodes: 1,
                    span: Duration::from_secs(18),
                    plan: vec![at(3_000, lose.clone()), at(3_000, lose)],
                    beside: Beside { keys: Some(keys), ..Beside::default() },
                    ..alone
                }
            }
            Self::Unique => {
                let span = Duration::from_secs(15);
                let uniques = Uniques::of(2, 4, 4_000, span);
                Setup {
                    nodes: 3,
                    span,
                    plan: vec![at(6_000, Fault::Kill { victim: 0, away: Duration::ZERO })],
                    beside: Beside { uniques: Some(uniques), ..Beside::default() },
                    ..alone
                }
            }
            Self::HungCluster => hung(Profile::Cluster, usual),
            Self::HungSentinel => hung(Profile::Sentinel, usual),
            // The last half of the jobs would start later than 6 s after the last beat.
            Self::Full => Setup {
                plan: vec![at(5_000, Fault::Fill)],
                jobs: 60,
                millis: 2_000,
                acts: vec![Act::Done, Act::Fail(1)],
                drain: Duration::from_secs(40),
                ..usual
            },
            // These drills do not consist of planned faults.
            Self::Rollback | Self::RollbackAlone | Self::Emptied | Self::Staged(_) => usual,
        }
    }
}

/// A fleet of busy nodes, and a primary that hangs.
fn hung(profile: Profile, usual: Setup) -> Setup {
    let fault = profiles::hang(profile);
    Setup {
        profile,
        plan: vec![Planned { at: Duration::from_secs(5), fault }],
        span: Duration::from_secs(30),
        jobs: 16,
        nodes: 8,
        slots: 2,
        millis: 26_000,
        drain: Duration::from_secs(60),
        ..usual
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guards::MUTATIONS;
    use crate::plan::{OF_NODES, OF_PRODUCERS};

    /// A loss that names no script of the broker would never strike, and a drill would prove
    /// nothing.
    #[test]
    fn every_script_that_is_lost_exists() {
        let lost = |fault: &Fault| match fault {
            Fault::Lose { loss, .. } => Some(loss.command),
            _ => None,
        };
        let drills = MUTATIONS.iter().flat_map(|mutation| {
            let setup = mutation.drill.setup("", PathBuf::new());
            setup.plan.into_iter().filter_map(|planned| lost(&planned.fault)).collect::<Vec<_>>()
        });
        let planned = OF_NODES.iter().chain(OF_PRODUCERS).copied();
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
        let scripts = root.join("../poolder-core/src/broker/scripts");
        let folders: Vec<PathBuf> =
            std::fs::read_dir(scripts).unwrap().map(|entry| entry.unwrap().path()).collect();
        for name in drills.chain(planned).filter(|name| name.chars().any(char::is_lowercase)) {
            let file = format!("{name}.lua");
            assert!(folders.iter().any(|folder| folder.join(&file).exists()), "there is no {file}");
        }
    }
}
