//! Runs about one thing: `--profile schedules` and `--profile batches`.

use std::time::Duration;

use crate::args::Storm;
use crate::batches::{self, Batches};
use crate::beside::Beside;
use crate::plan::{Planned, Profile};
use crate::runs::finish;
use crate::storm::Setup;
use crate::ticks::{self, Ticks};

/// Three nodes, and a schedule of which no tick may be left out. `jobs` are the ticks.
pub(crate) async fn schedules(mut asked: Storm) -> Result<bool, String> {
    let (seed, span) = of(&mut asked);
    // It ticks as long as faults strike, and at most once a second.
    let every = u64::try_from(span.as_millis()).unwrap_or(u64::MAX) / asked.jobs.max(1);
    let beside = Beside {
        ticks: Some(Ticks { every: every.max(10), count: Some(asked.jobs) }),
        aim_at_leader: true,
        ..Beside::default()
    };
    run("schedules", asked, beside, ticks::draw(seed, span), 3).await
}

/// Four who push, three nodes, and faults of all of them and of the server. `jobs` are the entries.
pub(crate) async fn batches(mut asked: Storm) -> Result<bool, String> {
    let (seed, span) = of(&mut asked);
    let batches = Batches { entries: asked.jobs, pushers: 4, limit: 500, bulk: 200 };
    let beside = Beside { batches: Some(batches), ..Beside::default() };
    let plan = batches::draw(seed, asked.faults, span);
    run("batches", asked, beside, plan, 4).await
}

/// The seed, drawn if none was asked for, and how long faults strike.
fn of(asked: &mut Storm) -> (u64, Duration) {
    let seed = *asked.seed.get_or_insert_with(|| crate::ledger::now() % 1_000_000);
    (seed, Duration::from_secs_f64(asked.minutes * 60.0))
}

async fn run(
    name: &str,
    mut asked: Storm,
    beside: Beside,
    plan: Vec<Planned>,
    nodes: usize,
) -> Result<bool, String> {
    let (seed, span) = of(&mut asked);
    println!("torture: seed {seed}, {} faults in {} s", plan.len(), span.as_secs());
    let setup = Setup {
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
        beside,
        fsync: asked.fsync,
        drain: Duration::from_secs(60),
        folder: asked.out.join(format!("{name}-{seed}")),
    };
    finish(name, &setup, asked.keep).await
}
