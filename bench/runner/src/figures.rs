//! The figures of a measurement, and how those of several rounds become one.

use std::collections::BTreeMap;

use bench_protocol::Report;

use crate::server::Sample;

/// The figures of one measurement, by name.
pub type Figures = BTreeMap<&'static str, f64>;

pub const JOBS_S: &str = "jobs_s";
pub const REDIS_US: &str = "redis_us_job";
pub const CLIENT_US: &str = "client_us_job";
pub const COMMANDS: &str = "commands_job";
pub const TRIPS: &str = "round_trips_job";
pub const BYTES: &str = "bytes_job";
pub const P50: &str = "p50_ms";
pub const P90: &str = "p90_ms";
pub const P99: &str = "p99_ms";
pub const MAX: &str = "max_ms";
/// The longest time of a command at the server.
pub const LONGEST: &str = "longest_ms";
pub const IDLE: &str = "commands_s";
/// CPU time of the server without a job, in thousandths of a core.
pub const IDLE_REDIS: &str = "redis_ms_s";
pub const IDLE_CLIENT: &str = "client_ms_s";

/// Connections of a node.
pub const CONNECTIONS: &str = "connections";

/// Computes the figures of one measurement. Those of idle nodes are divided by their number.
pub fn figures(
    report: &Report,
    nodes: usize,
    (before, after): (&Sample, &Sample),
    client_us: f64,
) -> Figures {
    let mut figures = Figures::new();
    if let Some(latency) = report.latency {
        figures.insert(P50, latency.p50);
        figures.insert(P90, latency.p90);
        figures.insert(P99, latency.p99);
        figures.insert(MAX, latency.max);
    }
    if let Some(longest) = report.longest_ms {
        figures.insert(LONGEST, longest);
    }
    let commands = after.commands - before.commands;
    if report.jobs == 0 {
        let seconds = report.seconds.max(f64::EPSILON) * nodes as f64;
        figures.insert(CONNECTIONS, after.connections / nodes as f64);
        figures.insert(IDLE, commands / seconds);
        figures.insert(IDLE_REDIS, (after.cpu_us - before.cpu_us) / 1000.0 / seconds);
        figures.insert(IDLE_CLIENT, client_us / 1000.0 / seconds);
        return figures;
    }
    let jobs = report.jobs as f64;
    if report.seconds > 0.0 {
        figures.insert(JOBS_S, jobs / report.seconds);
    }
    figures.insert(REDIS_US, (after.cpu_us - before.cpu_us - report.idle_us) / jobs);
    figures.insert(CLIENT_US, client_us / jobs);
    figures.insert(COMMANDS, commands / jobs);
    let reads = (after.reads - before.reads) / jobs;
    figures.insert(TRIPS, report.trips.unwrap_or(reads));
    figures.insert(BYTES, report.bytes.unwrap_or((after.memory - before.memory) / jobs));
    figures
}

/// The median of several rounds, and their spread.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

/// Computes the spread over the rounds; `None` if no round has the figure.
pub fn spread(rounds: &[Figures], name: &str) -> Option<Spread> {
    let mut values: Vec<f64> = rounds.iter().filter_map(|round| round.get(name).copied()).collect();
    values.sort_by(f64::total_cmp);
    let (min, max) = (*values.first()?, *values.last()?);
    let middle = values.len() / 2;
    let median = if values.len() % 2 == 1 {
        values[middle]
    } else {
        (values[middle - 1] + values[middle]) / 2.0
    };
    Some(Spread { median, min, max })
}
