//! The guards that can be removed one at a time, each with the drill that fails without it.

use crate::drills::Drill;
use crate::staged::Staged;

/// A guard that can be removed, its description, and the drill that fails without it.
pub(crate) struct Mutation {
    pub(crate) name: &'static str,
    pub(crate) guard: &'static str,
    pub(crate) drill: Drill,
}

/// All guards.
pub(crate) const MUTATIONS: &[Mutation] = &[
    Mutation {
        name: "fence-complete",
        guard: "a completion counts only jobs that the consumer still holds",
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
        drill: Drill::Staged(Staged::Unsettled),
    },
    Mutation {
        name: "tick-compare",
        guard: "a tick compares the last one that it was planned for",
        drill: Drill::LateTick,
    },
    Mutation {
        name: "slot-term",
        guard: "a poll of an addressed slot checks the lease and its term",
        drill: Drill::LatePoll,
    },
    Mutation {
        name: "idempotent-resend",
        guard: "a repeated enqueue finds its receipt",
        drill: Drill::LostReceipts,
    },
    Mutation {
        name: "guard-drop",
        guard: "a panic while a value of a handler is dropped goes no further",
        drill: Drill::Bombs,
    },
    Mutation {
        name: "replace-worker",
        guard: "a worker that was dropped half-way is replaced",
        drill: Drill::Panics,
    },
    Mutation {
        name: "callback-deadline",
        guard: "a callback has a deadline",
        drill: Drill::Hanging,
    },
    Mutation {
        name: "ten-years",
        guard: "a duration of more than ten years counts as ten years",
        drill: Drill::Extremes,
    },
    Mutation {
        name: "whole-beats",
        guard: "a node confirms deaths only after its own beats were whole for 10 s",
        drill: Drill::HungCluster,
    },
    Mutation {
        name: "whole-beats",
        guard: "the same, where nodes find the new primary by Sentinels",
        drill: Drill::HungSentinel,
    },
    Mutation {
        name: "first-write",
        guard: "a beat begins with a write that a full server accepts",
        drill: Drill::Full,
    },
    Mutation {
        name: "declare-again",
        guard: "a node declares again what the server has lost",
        drill: Drill::Emptied,
    },
    Mutation {
        name: "poll-order",
        guard: "a poll of an addressed slot claims nothing after a later one",
        drill: Drill::StalePoll,
    },
    Mutation {
        name: "settle-alone",
        guard: "settlements whose call raised an error are repeated one by one",
        drill: Drill::Staged(Staged::Unsettled),
    },
    Mutation {
        name: "settle-plainer",
        guard: "a settlement that raises an error each time is replaced by a plainer one",
        drill: Drill::Staged(Staged::Unsettled),
    },
    Mutation {
        name: "skip-unknown",
        guard: "claims grow while they bring only jobs of unknown kinds",
        drill: Drill::Staged(Staged::Unknown),
    },
    Mutation {
        name: "halve-replies",
        guard: "a claim whose reply was lost is repeated with half the size",
        drill: Drill::Staged(Staged::Narrow),
    },
    Mutation {
        name: "slot-by-job",
        guard: "a slot with a lost poll completes by job, not by entry id",
        drill: Drill::Staged(Staged::SlotRollback),
    },
    Mutation {
        name: "suspect-note",
        guard: "a suspect that had not begun is not blamed for the death of its node",
        drill: Drill::Staged(Staged::Suspects),
    },
    Mutation {
        name: "seal-generation",
        guard: "a timer seals only the list for which it was set",
        drill: Drill::Staged(Staged::LateTimer),
    },
    Mutation {
        name: "cancel-generation",
        guard: "a cancellation means only jobs that were enqueued before it",
        drill: Drill::Staged(Staged::Names),
    },
    Mutation {
        name: "every-death",
        guard: "no death overwrites another of the same id",
        drill: Drill::Staged(Staged::Names),
    },
    Mutation {
        name: "move-late",
        guard: "a late job of a key moves to the slot of the key",
        drill: Drill::Staged(Staged::Resizes),
    },
    Mutation {
        name: "release-again",
        guard: "a release that was refused is repeated",
        drill: Drill::Staged(Staged::Releases),
    },
    Mutation {
        name: "repetition-writes",
        guard: "a repeated enqueue writes, so that replicas confirm the job",
        drill: Drill::Staged(Staged::DarkLink),
    },
    Mutation {
        name: "suspect-permit",
        guard: "one suspect runs per node, whatever its queue",
        drill: Drill::Staged(Staged::TwoSuspects),
    },
    Mutation {
        name: "prune-dead",
        guard: "the pruner takes only jobs that are dead in the same step",
        drill: Drill::Staged(Staged::Revivals),
    },
    Mutation {
        name: "death-visit",
        guard: "a death lets the nodes that rest look for jobs",
        drill: Drill::Staged(Staged::Waiters),
    },
    Mutation {
        name: "beat-promise",
        guard: "a node that beats slowly is taken for silent later",
        drill: Drill::Staged(Staged::LargeFleet),
    },
    Mutation {
        name: "unique-owner",
        guard: "a job that ends frees a key only if it is its own",
        drill: Drill::Unique,
    },
    Mutation {
        name: "unique-cancel",
        guard: "a cancelled job that waits frees its key",
        drill: Drill::Unique,
    },
    Mutation {
        name: "unique-newest",
        guard: "the job that waits behind another one gets the newest data",
        drill: Drill::Unique,
    },
    Mutation {
        name: "unique-behind-is-due",
        guard: "the job that waits behind another one is due when that one has ended",
        drill: Drill::Unique,
    },
];
