//! `cargo xtask trials`: tries public reports about other queues, odd input and outages on Poolder.
//! The programs are a separate workspace, `trials/`; `trials/red.txt` lists the trials that fail
//! today.

mod ledger;
mod scripts;
mod trial;

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Mutex;
use std::thread;
use std::time::Instant;

use poolder_devserver::{Install, ensure};

use crate::arguments::Arguments;
use crate::cargo;
use ledger::Ledger;
use trial::Trial;

/// Manifest of the trials, a separate workspace that users never compile.
pub(crate) const MANIFEST: &str = "trials/Cargo.toml";

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let words: Vec<_> = arguments.before.iter().map(|word| word.to_string_lossy()).collect();
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words[..] {
        ["--scripts", ref names @ ..] => return scripts::run(names, arguments.install()),
        ["--sample"] => sample(arguments.install())?,
        ref names => {
            if let Some(word) = names.iter().find(|word| word.starts_with('-')) {
                return Err(format!("`{word}` is not understood: see cargo xtask"));
            }
            let chosen = |name: &str| names.is_empty() || names.iter().any(|n| name.contains(n));
            let listed = if names.is_empty() { ledger()?.names() } else { Vec::new() };
            trials(arguments.install(), &chosen, &listed)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs the trials in `trials/sample.txt`, short ones of every kind, for CI.
pub(crate) fn sample(install: Install) -> Result<(), String> {
    let names = ledger::names(&read("sample.txt")?);
    trials(install, &|name| names.iter().any(|sampled| sampled == name), &names)
}

/// Runs the chosen trials and compares their results with the ledger. Every name in `expected` must
/// be among the results.
fn trials(
    install: Install,
    chosen: &dyn Fn(&str) -> bool,
    expected: &[String],
) -> Result<(), String> {
    let ledger = ledger()?;
    let begin = Instant::now();
    ensure(install).map_err(|error| error.to_string())?;
    let queue: VecDeque<Trial> =
        trial::list()?.into_iter().filter(|trial| chosen(&trial.name)).collect();
    if queue.is_empty() {
        return Err("there is no trial with such a name".into());
    }
    let built = begin.elapsed().as_secs();
    let (queue, results) = (Mutex::new(queue), Mutex::new(BTreeMap::new()));
    // Most trials wait most of the time, so twice as many threads as processors run them.
    let threads = 2 * thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        let work = || {
            // The lock is held only while a trial is taken.
            let next = || queue.lock().ok()?.pop_front();
            while let Some(trial) = next() {
                let begin = Instant::now();
                let seen = trial.run();
                let seconds = begin.elapsed().as_secs_f32();
                for (name, green) in seen {
                    println!("{} {name} ({seconds:.1} s)", ledger.word(&name, green));
                    let Ok(mut results) = results.lock() else { return };
                    results.entry(name).and_modify(|so_far| *so_far &= green).or_insert(green);
                }
            }
        };
        for _ in 0..threads {
            scope.spawn(work);
        }
    });
    let results = results.into_inner().map_err(|error| error.to_string())?;
    let red = results.values().filter(|green| !**green).count();
    let wrong = ledger.compare(&results, expected);
    println!(
        "{} green, {red} red in {} s, after {built} s of building; their output is in {}",
        results.len() - red,
        begin.elapsed().as_secs() - built,
        logs().display()
    );
    if wrong.is_empty() { Ok(()) } else { Err(format!("\n  {}", wrong.join("\n  "))) }
}

fn logs() -> PathBuf {
    cargo::root().join("trials/target/logs")
}

fn ledger() -> Result<Ledger, String> {
    Ok(Ledger::parse(&read("red.txt")?))
}

fn read(name: &str) -> Result<String, String> {
    let path = cargo::root().join("trials").join(name);
    fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
}
