//! Runs with one kind of load or of fault: `--profile schedules`, `batches`, `limits`,
//! `limits-sentinel`, `limits-cluster`, `unique`, `unique-sentinel`, `hung-sentinel` and
//! `hung-cluster`.

use std::time::Duration;

use crate::args::Storm;
use crate::batches::{self, Batches};
use crate::beside::Beside;
use crate::job::Act;
use crate::ledger::How;
use crate::limits::{self, Limits};
use crate::plan::{Fault, Planned, Profile};
use crate::reshard::{ROSTER, Upheaval};
use crate::runs::begin;
use crate::servers::FailOver;
use crate::storm::Setup;
use crate::ticks::{self, Ticks};
use crate::uniques::{self, Uniques};

/// Runs three nodes and a schedule of which no tick may be left out. `jobs` is the number of ticks.
pub(crate) async fn schedules(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    // The schedule ticks as long as faults strike, at most once a second.
    let every = u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / asked.jobs.max(1);
    let beside = Beside {
        ticks: Some(Ticks { every: every.max(10), count: Some(asked.jobs) }),
        aim_at_leader: true,
        ..Beside::default()
    };
    let setup = setup("schedules", &asked, (seed, span), ticks::draw(seed, span), 3);
    begin("schedules", &Setup { beside, ..setup }, asked.keep).await
}

/// Runs four pushers and four nodes, with faults of both and of the server. `jobs` is the number of
/// entries.
pub(crate) async fn batches(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    let batches = Batches { entries: asked.jobs, limit: 500, bulk: 200, ..Batches::of(4) };
    let beside = Beside { batches: Some(batches), ..Beside::default() };
    let plan = batches::draw(seed, asked.faults, span);
    let setup = setup("batches", &asked, (seed, span), plan, 4);
    begin("batches", &Setup { beside, ..setup }, asked.keep).await
}

/// Runs two feeders and four nodes of a limited queue, with faults of both and of the servers: behind
/// Sentinels failovers, in a cluster moves of its slot. A server of its own counts what runs. `jobs` is
/// the number of jobs.
pub(crate) async fn limits(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    let start = tokio::task::spawn_blocking(poolder_devserver::Server::start);
    let counter = start.await.map_err(|error| error.to_string())?;
    let counter = counter.map_err(|error| error.to_string())?;
    let limits = Limits {
        jobs: asked.jobs,
        feeders: 2,
        groups: 20,
        of_group: 2,
        of_queue: 12,
        slots: 8,
        counter: counter.url().to_owned(),
        fails_over: asked.profile == Profile::Sentinel,
    };
    let beside = Beside { limits: Some(limits), ..Beside::default() };
    let plan = limits::draw(asked.profile, seed, asked.faults, span);
    let usual = setup("limits", &asked, (seed, span), plan, 4);
    begin("limits", &Setup { beside, profile: asked.profile, ..usual }, asked.keep).await
}

/// Runs three senders of unique jobs and six nodes, on one server or behind Sentinels. `jobs` is the
/// number of enqueues.
pub(crate) async fn unique(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    let replicas = u32::from(asked.profile != Profile::Standalone);
    let uniques = Uniques { replicas, ..Uniques::of(3, 4, asked.jobs, span) };
    let beside = Beside { uniques: Some(uniques), ..Beside::default() };
    let plan = uniques::draw(asked.profile, seed, asked.faults, span);
    let usual = setup("unique", &asked, (seed, span), plan, 6);
    begin("unique", &Setup { profile: asked.profile, beside, ..usual }, asked.keep).await
}

/// Runs eight nodes whose jobs take a quarter of a minute, behind Sentinels or in a cluster, while
/// the primary of the roster hangs again and again for longer than a lease and is replaced. No node
/// may be declared dead, and no job rescued.
pub(crate) async fn hung(asked: Storm) -> Result<bool, String> {
    let (seed, span) = asked.draw();
    let step = span / u32::try_from(asked.faults.max(1)).unwrap_or(u32::MAX);
    let at = |number| FIRST_HANG + step * u32::try_from(number).unwrap_or(u32::MAX);
    let fault = hang(asked.profile);
    let plan = (0..asked.faults).map(|n| Planned { at: at(n), fault: fault.clone() }).collect();
    let usual = setup("hung", &asked, (seed, span), plan, 8);
    let setup = Setup {
        profile: asked.profile,
        jobs: asked.jobs,
        slots: 2,
        producers: 1,
        millis: 15_000,
        ways: vec![How::Plain],
        acts: vec![Act::Done],
        ..usual
    };
    begin("hung", &setup, asked.keep).await
}

/// The time before the first hang: all nodes are up, and their slots busy.
const FIRST_HANG: Duration = Duration::from_secs(10);

/// Returns the fault of a primary that hangs: in a cluster, that of the roster.
pub(crate) fn hang(profile: Profile) -> Fault {
    let way = FailOver::Hung;
    match profile {
        Profile::Cluster => {
            Fault::Cluster(Upheaval::FailOver { which: ROSTER, way, unasked: true })
        }
        _ => Fault::FailOver(way),
    }
}

/// Returns the setup of a run without plain jobs.
fn setup(
    name: &str,
    asked: &Storm,
    (seed, span): (u64, Duration),
    plan: Vec<Planned>,
    nodes: usize,
) -> Setup {
    Setup {
        profile: Profile::Standalone,
        seed,
        span,
        plan,
        jobs: 0,
        nodes,
        slots: 1,
        producers: 0,
        millis: 0,
        killers: 0,
        ways: vec![],
        acts: vec![],
        mutation: String::new(),
        beside: Beside::default(),
        fsync: asked.fsync,
        drain: Duration::from_secs(60),
        folder: asked.out.join(format!("{name}-{seed}")),
    }
}
