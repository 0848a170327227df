//! The plan of a run: its faults and their times, which follow from the seed and the settings
//! alone.

use std::time::Duration;

use crate::proxy::{Loss, Lost};
use crate::random::Random;
use crate::reshard::{self, Upheaval};
use crate::servers::FailOver;

/// A fault and its time.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Planned {
    /// The time since the first possible fault.
    pub(crate) at: Duration,
    /// The fault.
    pub(crate) fault: Fault,
}

/// A fault. The process it hits is chosen when it strikes, since processes come and go; the plan
/// fixes the choice by the number `victim`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Fault {
    /// A node is killed, and another started in its place.
    Kill { victim: u64, away: Duration },
    /// A producer is killed, and another started in its place.
    KillProducer { victim: u64, away: Duration },
    /// A node is paused for longer than it takes to be declared dead.
    Freeze { victim: u64, lasting: Duration },
    /// A node is stopped with SIGTERM, and another started in its place.
    Term { victim: u64, away: Duration },
    /// A node is cut off from the server for longer than it takes to be declared dead, while its
    /// jobs go on.
    Isolate { victim: u64, lasting: Duration },
    /// The server is killed and started again from its append-only file.
    KillServer { away: Duration },
    /// The server answers no client for a while.
    PauseServer { lasting: Duration },
    /// The server forgets all scripts.
    FlushScripts,
    /// The consumer groups are destroyed.
    DestroyGroups,
    /// The server has no memory left.
    Exhaust { lasting: Duration },
    /// A request or a reply is lost.
    Lose { victim: u64, of_producer: bool, loss: Loss },
    /// The clock of the server jumps.
    Jump { millis: i64 },
    /// The traffic between a node and the server is delayed.
    Delay { victim: u64, by: Duration, lasting: Duration },
    /// Every byte between a node and the server is sent as a packet of its own.
    Dribble { victim: u64, lasting: Duration },
    /// The connections of a node are closed in one direction.
    HalfClose { victim: u64 },
    /// The connections of a node are cut.
    Cut { victim: u64 },
    /// The server closes all connections, idle ones as well.
    KillConnections,
    /// The requests of a node reach the server, and no reply comes back for a while.
    Silence { victim: u64, lasting: Duration },
    /// The line of a node carries 1 MB/s for a while.
    Narrow { victim: u64, lasting: Duration },
    /// The server closes connections with a reply of more than 1 MiB for a while.
    SmallReplies { lasting: Duration },
    /// The replica becomes the primary.
    FailOver(FailOver),
    /// A change of the cluster.
    Cluster(Upheaval),
    /// The server has no memory left, to the end of the run. Only in drills.
    Fill,
}

/// The kinds, and the share of each in thousandths of all faults.
const SHARES: &[(&str, u64)] = &[
    ("SIGKILL of a node", 318),
    ("SIGSTOP past the lease", 160),
    ("server killed", 118),
    ("reply lost", 120),
    ("SIGKILL of a producer", 24),
    ("SIGTERM of a node", 32),
    ("node cut off past the lease", 24),
    ("server paused", 24),
    ("scripts flushed", 24),
    ("groups destroyed", 24),
    ("memory exhausted", 20),
    ("request lost", 24),
    ("clock jumped", 24),
    ("traffic delayed", 8),
    ("single bytes", 8),
    ("half closed", 8),
    ("connections cut", 8),
    ("all connections closed", 8),
    ("no replies", 8),
    ("narrow line", 8),
    ("small replies only", 8),
];

/// The kinds and shares behind Sentinels. There is no proxy, because Sentinels give clients the
/// addresses of the servers.
const WITH_SENTINELS: &[(&str, u64)] = &[
    ("failover by order", 170),
    ("primary killed, and back", 90),
    ("primary paused, and back", 170),
    ("SIGKILL of a node", 260),
    ("SIGSTOP past the lease", 130),
    ("SIGTERM of a node", 60),
    ("SIGKILL of a producer", 60),
    ("scripts flushed", 60),
];

/// The servers that hold the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Profile {
    /// One server.
    Standalone,
    /// A primary and a replica, watched by Sentinels.
    Sentinel,
    /// Three primaries, each with a replica.
    Cluster,
}

/// The commands and scripts of a node whose loss is worth testing.
pub(crate) const OF_NODES: &[&str] = &[
    "complete",
    "complete",
    "settle",
    "XREADGROUP",
    "XREADGROUP",
    "claim",
    "read",
    "node_beat",
    "promote",
    "leader_elect",
    "tick",
    "push",
    "slot_poll",
    "slot_acquire",
];
/// The commands and scripts of a producer whose loss is worth testing.
pub(crate) const OF_PRODUCERS: &[&str] = &["XADD", "enqueue", "enqueue", "push", "slot_cast"];

/// Draws a plan of `faults` faults according to their shares, spread over `span` in random order.
pub(crate) fn draw(profile: Profile, seed: u64, faults: u64, span: Duration) -> Vec<Planned> {
    let mut random = Random::new(seed, 1);
    let mut kinds = shares(profile, faults);
    for at in (1..kinds.len()).rev() {
        let other = usize::try_from(random.between(0, at as u64)).unwrap_or(0);
        kinds.swap(at, other);
    }
    let span = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    let step = span / (faults.max(1));
    let mut plan: Vec<Planned> = (0..)
        .zip(kinds)
        .map(|(place, kind)| {
            let at = place * step + random.between(0, step);
            let fault = match profile {
                Profile::Cluster => reshard::upheaval(kind, &mut random),
                _ => None,
            };
            let fault = fault.unwrap_or_else(|| self::fault(kind, &mut random));
            Planned { at: Duration::from_millis(at), fault }
        })
        .collect();
    plan.sort_by_key(|planned| planned.at);
    plan
}

/// Returns the kinds of `faults` faults according to their shares, with the largest remainders
/// rounded up.
fn shares(profile: Profile, faults: u64) -> Vec<&'static str> {
    let shares = match profile {
        Profile::Standalone => SHARES,
        Profile::Sentinel => WITH_SENTINELS,
        Profile::Cluster => reshard::SHARES,
    };
    let sum: u64 = shares.iter().map(|(_, share)| share).sum();
    let mut counts: Vec<(u64, u64, &str)> = shares
        .iter()
        .map(|(kind, share)| (faults * share / sum, faults * share % sum, *kind))
        .collect();
    let given: u64 = counts.iter().map(|(count, ..)| count).sum();
    counts.sort_by_key(|(_, rest, _)| std::cmp::Reverse(*rest));
    let missing = usize::try_from(faults - given).unwrap_or(0);
    counts.iter_mut().take(missing).for_each(|(count, ..)| *count += 1);
    counts
        .into_iter()
        .flat_map(|(count, _, kind)| std::iter::repeat_n(kind, usize::try_from(count).unwrap_or(0)))
        .collect()
}

fn fault(kind: &str, random: &mut Random) -> Fault {
    let victim = random.next() >> 8;
    let mut millis = |low, high| Duration::from_millis(random.between(low, high));
    match kind {
        "SIGKILL of a node" => Fault::Kill { victim, away: millis(100, 3_000) },
        "SIGKILL of a producer" => Fault::KillProducer { victim, away: millis(100, 2_000) },
        "SIGSTOP past the lease" => Fault::Freeze { victim, lasting: millis(13_000, 18_000) },
        "SIGTERM of a node" => Fault::Term { victim, away: millis(0, 1_000) },
        "node cut off past the lease" => Fault::Isolate { victim, lasting: millis(13_000, 18_000) },
        "server killed" => Fault::KillServer { away: millis(20, 1_500) },
        "server paused" => Fault::PauseServer { lasting: millis(300, 6_000) },
        "failover by order" => Fault::FailOver(FailOver::Ordered),
        "primary killed, and back" => Fault::FailOver(FailOver::Killed),
        "primary paused, and back" => Fault::FailOver(FailOver::Paused),
        "scripts flushed" => Fault::FlushScripts,
        "groups destroyed" => Fault::DestroyGroups,
        "memory exhausted" => Fault::Exhaust { lasting: millis(500, 20_000) },
        "clock jumped" => {
            // The clock jumps further forward than back, because a jump back delays due jobs, and
            // the run must end in time.
            let millis = i64::try_from(random.between(500, 60_000)).unwrap_or(0);
            Fault::Jump { millis: if random.percent(50) { millis } else { -millis / 4 } }
        }
        "traffic delayed" => {
            Fault::Delay { victim, by: millis(5, 150), lasting: millis(2_000, 8_000) }
        }
        "single bytes" => Fault::Dribble { victim, lasting: millis(2_000, 8_000) },
        "half closed" => Fault::HalfClose { victim },
        "connections cut" => Fault::Cut { victim },
        "all connections closed" => Fault::KillConnections,
        "no replies" => Fault::Silence { victim, lasting: millis(1_000, 8_000) },
        "narrow line" => Fault::Narrow { victim, lasting: millis(2_000, 8_000) },
        "small replies only" => Fault::SmallReplies { lasting: millis(2_000, 20_000) },
        _ => {
            let what = if kind == "reply lost" { Lost::Reply } else { Lost::Request };
            let of_producer = random.percent(35);
            let command = random.pick(if of_producer { OF_PRODUCERS } else { OF_NODES });
            let after = u32::try_from(random.between(0, 3)).unwrap_or(0);
            let loss = Loss { command, after, what, cut: random.percent(60) };
            Fault::Lose { victim, of_producer, loss }
        }
    }
}

impl Fault {
    /// Returns the same fault with this node as its victim.
    pub(crate) fn aimed_at(mut self, node: u64) -> Self {
        if let Self::Kill { victim, .. } | Self::Freeze { victim, .. } | Self::Term { victim, .. } =
            &mut self
        {
            *victim = node;
        }
        self
    }

    /// Returns the kind, as reports name it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Kill { .. } => "SIGKILL of a node",
            Self::KillProducer { .. } => "SIGKILL of a producer",
            Self::Freeze { .. } => "SIGSTOP past the lease",
            Self::Term { .. } => "SIGTERM of a node",
            Self::Isolate { .. } => "node cut off past the lease",
            Self::KillServer { .. } => "server killed",
            Self::PauseServer { .. } => "server paused",
            Self::FlushScripts => "scripts flushed",
            Self::DestroyGroups => "groups destroyed",
            Self::Exhaust { .. } | Self::Fill => "memory exhausted",
            Self::Jump { .. } => "clock jumped",
            Self::Delay { .. } => "traffic delayed",
            Self::Dribble { .. } => "single bytes",
            Self::HalfClose { .. } => "half closed",
            Self::Cut { .. } => "connections cut",
            Self::KillConnections => "all connections closed",
            Self::Silence { .. } => "no replies",
            Self::Narrow { .. } => "narrow line",
            Self::SmallReplies { .. } => "small replies only",
            Self::FailOver(FailOver::Ordered) => "failover by order",
            Self::FailOver(FailOver::Killed) => "primary killed, and back",
            Self::FailOver(FailOver::Paused) => "primary paused, and back",
            Self::FailOver(FailOver::Hung) => reshard::HUNG,
            Self::Cluster(upheaval) => upheaval.kind(),
            Self::Lose { loss, .. } => match loss.what {
                Lost::Reply => "reply lost",
                Lost::Request => "request lost",
                Lost::Time => "request late",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(plan: &[Planned], kind: &str) -> usize {
        plan.iter().filter(|planned| planned.fault.kind() == kind).count()
    }

    #[test]
    fn the_same_seed_draws_the_same_plan() {
        let minutes = Duration::from_secs(600);
        assert_eq!(
            draw(Profile::Standalone, 7, 260, minutes),
            draw(Profile::Standalone, 7, 260, minutes)
        );
        assert_ne!(
            draw(Profile::Standalone, 7, 260, minutes),
            draw(Profile::Standalone, 8, 260, minutes)
        );
    }

    #[test]
    fn the_plan_of_a_long_run_holds_what_is_promised() {
        let plan = draw(Profile::Standalone, 1, 260, Duration::from_secs(600));
        assert_eq!(plan.len(), 260);
        assert!(count(&plan, "SIGKILL of a node") >= 80);
        assert!(count(&plan, "SIGSTOP past the lease") >= 40);
        assert!(count(&plan, "server killed") >= 30);
        assert!(count(&plan, "reply lost") >= 30);
        for (kind, _) in SHARES {
            assert!(count(&plan, kind) >= 2, "{kind}");
        }
        assert!(plan.is_sorted_by_key(|planned| planned.at));
        assert!(plan.iter().all(|planned| planned.at <= Duration::from_secs(600)));
    }

    #[test]
    fn behind_sentinels_half_of_the_replaced_primaries_return() {
        let plan = draw(Profile::Sentinel, 1, 80, Duration::from_secs(600));
        let ordered = count(&plan, "failover by order");
        let returning =
            count(&plan, "primary killed, and back") + count(&plan, "primary paused, and back");
        assert!(ordered + returning >= 30 && returning >= ordered, "{ordered} {returning}");
    }

    #[test]
    fn in_a_cluster_slots_move_all_the_time() {
        let plan = draw(Profile::Cluster, 1, 280, Duration::from_secs(360));
        assert!(count(&plan, "slot moved") >= 205);
        let kinds = ["failover by order", "primary killed, and back", "primary paused, and back"];
        assert!(kinds.iter().map(|kind| count(&plan, kind)).sum::<usize>() >= 22);
    }

    #[test]
    fn few_faults_are_as_many_as_asked_for() {
        for faults in [0, 1, 5, 17, 100] {
            assert_eq!(
                draw(Profile::Standalone, 1, faults, Duration::from_secs(10)).len() as u64,
                faults
            );
        }
    }
}
