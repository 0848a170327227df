//! Short runs of one scene each, in which one guard is all that stands between a fault and a
//! violation. Without it the drill must fail; with it, it must not.

use std::path::PathBuf;
use std::time::Duration;

use poolder_devserver::Fsync;

use crate::beside::Beside;
use crate::checker::Verdict;
use crate::job::Act;
use crate::keys::Keys;
use crate::ledger::How;
use crate::plan::{Fault, Planned, Profile};
use crate::proxy::{Loss, Lost};
use crate::storm::Setup;
use crate::ticks::Ticks;
use crate::{rollback, runs};

/// A scene.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Drill {
    /// A node is stopped, loses its jobs, and finishes them when it wakes up.
    Zombie,
    /// The groups are lost: nodes get what others hold.
    GivenTwice,
    /// The server is killed while jobs run, so that they end in another history.
    Restart,
    /// The replies to claims are lost.
    LostClaims,
    /// A job kills its process each time.
    Killer,
    /// What a script wants to write to is of another type for a while.
    Spoiled,
    /// The replies to idempotent enqueues are lost.
    LostReceipts,
    /// A tick's request arrives when the leader has long gone on without it.
    LateTick,
    /// The request of a slot's holder arrives when it is gone and another holds the slot.
    LateTurn,
    /// The server forgets what it said last, and gives another job the id of one that runs; the
    /// other job is claimed by another node …
    Rollback,
    /// … or by the same.
    RollbackAlone,
}

/// A guard that can be removed, what it does, and the drill that misses it.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) guard: &'static str,
    pub(crate) drill: Drill,
}

/// All of them.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "fence-complete",
        guard: "a completion counts only what was still ours",
        drill: Drill::Zombie,
    },
    Mutation {
        name: "fence-owner",
        guard: "a move checks the owner of the claim",
        drill: Drill::GivenTwice,
    },
    Mutation {
        name: "fence-epoch",
        guard: "a completion compares the server's history",
        drill: Drill::Rollback,
    },
    Mutation {
        name: "fence-job",
        guard: "a move checks the job's id",
        drill: Drill::RollbackAlone,
    },
    Mutation {
        name: "verification",
        guard: "after a failover every claim is verified again",
        drill: Drill::Restart,
    },
    Mutation {
        name: "adoption",
        guard: "claims whose reply was lost are adopted",
        drill: Drill::LostClaims,
    },
    Mutation {
        name: "crash-limit",
        guard: "a suspect is buried for crashing",
        drill: Drill::Killer,
    },
    Mutation {
        name: "destination-first",
        guard: "the destination is written before the source is removed",
        drill: Drill::Spoiled,
    },
    Mutation {
        name: "tick-compare",
        guard: "a tick compares the last one that it was planned for",
        drill: Drill::LateTick,
    },
    Mutation {
        name: "slot-term",
        guard: "a turn of an addressed slot checks the lease and its term",
        drill: Drill::LateTurn,
    },
    Mutation {
        name: "idempotent-resend",
        guard: "a repeated enqueue finds its receipt",
        drill: Drill::LostReceipts,
    },
];

impl Drill {
    /// Runs it with this guard left out; none for "".
    pub(crate) async fn run(self, mutation: &str, folder: PathBuf) -> Result<Verdict, String> {
        let nodes = match self {
            Self::Rollback => 2,
            Self::RollbackAlone => 1,
            _ => {
                let setup = self.setup(mutation, folder);
                return Ok(runs::run(&format!("{self:?}"), &setup).await?.verdict);
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
            Self::Spoiled => Setup {
                plan: vec![at(500, Fault::Spoil { lasting: Duration::from_secs(4) })],
                jobs: 4,
                millis: 1_500,
                acts: vec![Act::Fail(1)],
                span: Duration::from_secs(2),
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
            Self::LateTurn => {
                let loss = Loss { command: "slot_poll", after: 3, what: Lost::Time, cut: true };
                let lose = Fault::Lose { victim: 0, of_producer: false, loss };
                // Whoever sent it goes, and others take its slots before it arrives.
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
            // They are not made of planned faults.
            Self::Rollback | Self::RollbackAlone => usual,
        }
    }
}
