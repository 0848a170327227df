//! The peers. Each is built separately: one that does not compile, or whose language is not
//! installed, is reported as not run.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::contender::Contender;

/// The peers in Rust, by the directory under `bench/peers`.
const RUST: [&str; 4] = ["oxana", "apalis", "sidekiq", "broccoli"];

/// The fate of a job whose worker is killed, according to the sources of the peers.
pub const KILLED: [(&str, &str); 9] = [
    ("raw", "kept, claimed again by any consumer that asks"),
    ("poolder", "kept, runs elsewhere within 12 s"),
    ("oxana 2.5.0", "kept, runs elsewhere when the heartbeat is stale; no limit on crashes"),
    ("apalis-redis 1.0.0", "kept, orphans are enqueued again"),
    ("rusty-sidekiq 0.15.2", "lost (BRPOP)"),
    ("broccoli_queue 0.4.6", "stranded: nothing takes its processing list back"),
    ("BullMQ 6.7.0", "kept, found by the stalled check"),
    ("asynq 0.26", "kept, found by the recoverer"),
    ("GroupMQ 1.1.0", "kept, found by the stalled check"),
];

/// Installs the peer that has groups, unless `wanted` has other names only.
pub fn grouped(wanted: &[String]) -> Option<Contender> {
    let asked = wanted.is_empty() || wanted.iter().any(|one| one == "groupmq");
    asked.then(|| Contender { name: "groupmq".into(), program: node("groupmq") })
}

/// Builds the peers named in `wanted`, or all if it is empty, without the one that has groups.
pub fn all(wanted: &[String]) -> Vec<Contender> {
    let asked = |name: &&str| wanted.is_empty() || wanted.iter().any(|one| one == name);
    let mut peers: Vec<Contender> = RUST
        .into_iter()
        .filter(asked)
        .map(|name| Contender { name: name.into(), program: rust(name) })
        .collect();
    if asked(&"bullmq") {
        peers.push(Contender { name: "bullmq".into(), program: node("bullmq") });
    }
    if asked(&"asynq") {
        peers.push(Contender { name: "asynq".into(), program: asynq() });
    }
    peers
}

fn rust(name: &str) -> Result<Vec<String>, String> {
    eprintln!("building {name}");
    let package = format!("bench-peer-{name}");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--release", "--locked", "--quiet"]);
    command.args(["--manifest-path", "bench/Cargo.toml", "--package", &package]);
    run(&mut command)?;
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    Ok(vec![program.with_file_name(package).display().to_string()])
}

fn node(name: &str) -> Result<Vec<String>, String> {
    let dir = Path::new("bench/peers").join(name);
    run(Command::new("node").arg("--version"))?;
    if !dir.join("node_modules").exists() {
        eprintln!("installing {name}");
        let words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
        run(Command::new("npm").args(words).current_dir(&dir))?;
    }
    Ok(vec!["node".into(), dir.join("main.mjs").display().to_string()])
}

fn asynq() -> Result<Vec<String>, String> {
    let dir = Path::new("bench/peers/asynq");
    run(Command::new("go").arg("version"))?;
    eprintln!("building asynq");
    run(Command::new("go").args(["mod", "tidy"]).current_dir(dir))?;
    run(Command::new("go").args(["build", "-o", "asynq-peer", "."]).current_dir(dir))?;
    Ok(vec![dir.join("asynq-peer").display().to_string()])
}

/// Runs a command. If it fails, the last line of its standard error is the reason.
fn run(command: &mut Command) -> Result<(), String> {
    let name = command.get_program().display().to_string();
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{name} cannot be run here ({error})"))?;
    if output.status.success() {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&output.stderr);
    let why = text.lines().find(|line| line.starts_with("error")).or(text.lines().last());
    Err(format!("{name}: {}", why.unwrap_or("it failed")))
}
