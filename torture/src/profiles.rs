//! Runs with one kind of load: `--profile schedules` and `--profile batches`.

use std::time::Duration;

use crate::args::Storm;
use crate::batches::{self, Batches};
use crate::beside::Beside;
use crate::plan::{Planned, Profile};
use crate::runs::begin;
use crate::storm::Setup;
use crate::ticks::{self, Ticks};

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
    let batches = Batches { entries: asked.jobs, pushers: 4, limit: 500, bulk: 200 };
    let beside = Beside { batches: Some(batches), ..Beside::default() };
    let plan = batches::draw(seed, asked.faults, span);
    let setup = setup("batches", &asked, (seed, span), plan, 4);
    begin("batches", &Setup { beside, ..setup }, asked.keep).await
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
