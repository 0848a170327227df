//! Compares instructions per job with a baseline: a measure that does not depend on how busy the
//! machine is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use poolder_devserver::Install;

use crate::args::Args;

type AnyError = Box<dyn std::error::Error>;

/// The operations counted, each with two numbers of repetitions whose difference is taken. The
/// first is large enough for buffers to have grown.
const COUNTED: [(&str, u64, u64); 5] = [
    ("enqueue", 640, 2560),
    ("bulk", 1000, 4000),
    ("claim", 640, 3840),
    ("settle", 640, 3840),
    ("run", 1280, 7680),
];

/// The number of runs. Timers fire by the clock, so that some runs take more instructions; the
/// least counts.
const TRIES: usize = 3;

/// The share by which a count may exceed the baseline.
const TOLERANCE: f64 = 0.05;

/// Toolchain → operation → instructions per job.
type Baseline = BTreeMap<String, BTreeMap<String, u64>>;

/// Counts and compares. Records the counts as the new baseline if the command line says so.
pub fn run(args: &Args) -> Result<(), AnyError> {
    valgrind(args.install)?;
    let guard = build()?;
    let path = PathBuf::from("bench/baseline.json");
    let mut baseline: Baseline = match std::fs::read_to_string(&path) {
        Ok(text) => serde_json::from_str(&text)?,
        Err(_) => Baseline::new(),
    };
    let toolchain = toolchain();
    let known = baseline.get(&toolchain).cloned().unwrap_or_default();
    let found = count(&guard)?;
    println!("instructions per job, {toolchain}");
    let mut worse = vec![];
    for (what, now) in &found {
        let Some(before) = known.get(what) else {
            println!("  {what:<8} {now:>7}");
            continue;
        };
        let change = *now as f64 / *before as f64 - 1.0;
        println!("  {what:<8} {now:>7}  baseline {before:>7}  {:+.1} %", change * 100.0);
        if change > TOLERANCE {
            worse.push(what.clone());
        }
    }
    if args.record {
        baseline.insert(toolchain, found);
        std::fs::write(&path, serde_json::to_string_pretty(&baseline)? + "\n")?;
        println!("recorded in {}", path.display());
    } else if known.is_empty() {
        println!("there is no baseline for this toolchain: nothing compared; --record makes one");
    } else if !worse.is_empty() {
        return Err(format!(
            "{} took over {:.0} % more instructions than the baseline: make it cheaper, or say why \
             it may cost that and run cargo xtask bench --record",
            worse.join(" and "),
            TOLERANCE * 100.0
        )
        .into());
    }
    Ok(())
}

fn count(guard: &Path) -> Result<BTreeMap<String, u64>, AnyError> {
    let socket = std::env::temp_dir().join(format!("poolder-guard-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let mut server = Command::new(guard).arg("serve").arg(&socket).stdout(Stdio::null()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counted = COUNTED.iter().map(|(what, few, many)| {
        let mut least = u64::MAX;
        for _ in 0..TRIES {
            let difference = instructions(guard, &socket, what, *many)?
                .saturating_sub(instructions(guard, &socket, what, *few)?);
            least = least.min(difference / (many - few));
        }
        Ok(((*what).to_owned(), least))
    });
    let counted = counted.collect();
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_file(&socket);
    counted
}

/// Returns the instructions of one run of the guard, as callgrind counts them.
fn instructions(guard: &Path, socket: &Path, what: &str, times: u64) -> Result<u64, AnyError> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(guard)
        .arg(socket)
        .args([what, &times.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    let collected = text.lines().find_map(|line| line.split_once("Collected :"));
    match collected.and_then(|(_, number)| number.trim().parse().ok()) {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(format!("{what} could not be counted:\n{text}").into()),
    }
}

/// Builds the guard next to this program.
fn build() -> Result<PathBuf, AnyError> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let status = Command::new(cargo)
        .args(["build", "--release", "--locked", "--quiet", "--manifest-path", "bench/Cargo.toml"])
        .args(["--package", "bench-guard"])
        .status()?;
    if !status.success() {
        return Err("bench-guard does not compile".into());
    }
    Ok(std::env::current_exe()?.with_file_name("bench-guard"))
}

/// Finds valgrind, and installs it if `install` allows that.
fn valgrind(install: Install) -> Result<(), AnyError> {
    let there = || Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok();
    if there() {
        return Ok(());
    }
    if install == Install::Yes {
        let root = Command::new("id").arg("-u").output().is_ok_and(|out| out.stdout == b"0\n");
        let apt = |words: &[&str]| {
            let mut command = Command::new(if root { "apt-get" } else { "sudo" });
            if !root {
                command.args(["-n", "apt-get"]);
            }
            command.args(words).stdout(Stdio::null()).status()
        };
        let _ = apt(&["update"]);
        let _ = apt(&["install", "--yes", "--no-install-recommends", "valgrind"]);
    }
    if there() {
        return Ok(());
    }
    Err("valgrind is missing: install it (apt-get install valgrind), or allow that with --yes"
        .into())
}

/// Returns the version of the compiler and the kind of the machine, both of which influence the
/// count.
fn toolchain() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let text = output
        .map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).into_owned());
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    format!("rustc {} {}", field("release:"), field("host:"))
}
