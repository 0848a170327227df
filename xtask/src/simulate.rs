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
        let half = Scene { rate: (nodes as u64).div_ceil(5), job: 10_000_000, ..idle };
        let none = Scene { rate: 0, ..idle };
        for (name, scene) in [("100 short jobs/s", idle), ("half busy, jobs of 10 s", half)] {
            print(name, scene);
            print(name, Scene { permits: Some(PERMITS), ..scene });
        }
        print("no jobs", Scene { permits: Some(PERMITS), ..none });
    }
    Ok(ExitCode::SUCCESS)
}

fn print(name: &str, scene: Scene) {
    let figures = fleet::run(scene, COSTS);
    let [p50, p99, max] = figures.pickup.map(|ms| format!("{ms:.1}"));
    let waiting = scene.permits.map_or("all".to_owned(), |permits| format!("at most {permits}"));
    println!(
        "| {name} | {} | {waiting} | {:.0} | {:.1} % | {p50} | {p99} | {max} | {:.0} |",
        scene.nodes,
        figures.us_job,
        figures.busy * 100.0,
        figures.requests,
    );
}
