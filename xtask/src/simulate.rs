//! `cargo xtask simulate`: the costs of fleets of up to 10,000 nodes for the server of a queue, from
//! measured costs, with every node waiting for jobs and with wait permits.

mod fleet;

use std::process::ExitCode;

use fleet::{Costs, Scene};

use crate::arguments::Arguments;

/// Measured with `cargo xtask bench --only herd`, see docs/fleets.md.
const COSTS: Costs = Costs { command: 40, blocked: 7, script: 45, wake: 12, trip: 200 };
const PERMITS: usize = 8;

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    println!(
        "one queue; server time: {} µs a request, {} µs of an enqueue for each node that waits, \
         {} µs a script, {} µs a message to a node; round trip {} µs\n",
        COSTS.command, COSTS.blocked, COSTS.script, COSTS.wake, COSTS.trip
    );
    println!(
        "| scene | nodes | waiting | µs/job | server busy | p50 ms | p99 ms | max ms | requests/s |"
    );
    println!("|---|---:|---|---:|---:|---:|---:|---:|---:|");
    for nodes in [1, 8, 32, 256, 1_000, 10_000] {
        let idle = Scene { nodes, slots: 4, permits: None, rate: 100, job: 1_000, seconds: 60 };
        let busy = Scene { rate: (nodes as u64).div_ceil(5), job: 10_000_000, ..idle };
        both("100 short jobs/s", idle);
        // Fewer nodes have too few slots for jobs that come at random.
        if nodes >= 32 {
            both("half busy, jobs of 10 s", busy);
        }
        print("no jobs", Scene { rate: 0, permits: Some(PERMITS), ..idle });
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a scene in which every node waits, and the same with permits.
fn both(name: &str, scene: Scene) {
    print(name, scene);
    print(name, Scene { permits: Some(PERMITS), ..scene });
}

fn print(name: &str, scene: Scene) {
    let figures = fleet::run(scene, COSTS);
    let waiting = scene.permits.map_or("all".to_owned(), |permits| format!("at most {permits}"));
    print!("| {name} | {} | {waiting} | ", scene.nodes);
    // A server that gets more than it can do answers later and later.
    let busy = (figures.busy * 100.0).min(100.0);
    if figures.jobs == 0 {
        print!("| {busy:.1} % | | | ");
    } else {
        let [p50, p99, max] = figures.pickup.map(|ms| format!("{ms:.1}"));
        print!("{:.0} | {busy:.1} % | {p50} | {p99} | {max} ", figures.us_job);
    }
    println!("| {:.0} |", figures.requests);
}
