//! Measures Poolder against a raw Redis loop and its peers, interleaved, in one run.
//!
//! `cargo xtask bench` builds and starts it; `--help` lists its options.

mod args;
mod check;
mod contender;
mod figures;
mod peers;
mod plot;
mod poolder;
mod raw;
mod report;
mod rows;
mod server;
mod table;

use std::collections::BTreeMap;
use std::process::ExitCode;

use args::Args;
use figures::Figures;

/// The figures of every round, by row and contender.
pub type Results = BTreeMap<(usize, String), Vec<Figures>>;
/// The reasons why contenders were not measured, by row and contender.
pub type NotRun = BTreeMap<(usize, String), String>;

type AnyError = Box<dyn std::error::Error>;

fn main() -> Result<ExitCode, AnyError> {
    match std::env::args().nth(1).as_deref() {
        Some("raw") => runtime()?.block_on(raw::run(bench_protocol::Run::begin())),
        Some("poolder") => runtime()?.block_on(poolder::run(bench_protocol::Run::begin())),
        Some("mode") => {
            let mode = std::env::args().nth(2).unwrap_or_default();
            runtime()?.block_on(poolder::addressed::run(bench_protocol::Run::begin(), &mode))
        }
        _ => {
            let args = Args::parse()?;
            if args.check {
                return check::run(&args);
            }
            bench(&args).map(|()| ExitCode::SUCCESS)
        }
    }
}

/// Returns the runtime that `#[tokio::main]` would create; one with a single thread for
/// `BENCH_THREADS=1`.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    let mut builder = match std::env::var("BENCH_THREADS").as_deref() {
        Ok("1") => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    builder.enable_all().build()
}

fn bench(args: &Args) -> Result<(), AnyError> {
    let rows = rows::selected(args);
    if rows.is_empty() {
        return Err(format!("no row of that name; there are: {}", rows::names().join(", ")).into());
    }
    let mut contenders = contender::all(args);
    if rows.iter().any(|row| row.who == rows::Who::Everyone) {
        contenders.extend(peers::all(&args.contenders));
    }
    if rows.iter().any(|row| row.who == rows::Who::Grouped) {
        contenders.extend(peers::grouped(&args.contenders));
    }
    if rows.iter().any(|row| row.who == rows::Who::Modes) {
        contenders.extend(contender::modes(args));
    }
    let server = server::Server::start(args.install)?;
    println!("{}", server.describe());
    let (mut results, mut not_run) = (Results::new(), NotRun::new());
    for round in 0..args.rounds {
        for (at, row) in rows.iter().enumerate() {
            if round >= row.rounds {
                continue;
            }
            eprint!("\rround {}/{}  {:<60}", round + 1, args.rounds, row.title);
            for position in 0..contenders.len() {
                // Each round starts with another contender, so that none always runs first.
                let contender = &contenders[(position + round) % contenders.len()];
                let place = (at, contender.name.clone());
                if !row.is_for(contender) || not_run.contains_key(&place) {
                    continue;
                }
                match contender.measure(row, &server) {
                    Ok(figures) => results.entry(place).or_default().push(figures),
                    Err(reason) => {
                        not_run.insert(place, reason);
                    }
                }
            }
        }
    }
    eprintln!("\r{:80}", "");
    let summary = report::Summary::new(&rows, &contenders, &results, &not_run, &server, args);
    table::print(&summary);
    if let Some(dir) = &args.out {
        std::fs::create_dir_all(dir)?;
        let plots = plot::write(&summary, dir)?;
        report::write(&summary, &plots, dir)?;
        println!("written to {}", dir.display());
    }
    Ok(())
}
