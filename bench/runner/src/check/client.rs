//! Counts the instructions of the client, against a scripted server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::AnyError;
use super::baseline::Counts;
use super::callgrind::{CALLGRIND, Operation, collected, libc};

/// `run` has a node, whose timers make its count the least stable one.
const COUNTED: [Operation; 5] = [
    Operation { what: "enqueue", few: 640, many: 2560, tries: 3 },
    Operation { what: "bulk", few: 1000, many: 4000, tries: 2 },
    Operation { what: "claim", few: 640, many: 3840, tries: 2 },
    Operation { what: "settle", few: 640, many: 3840, tries: 2 },
    Operation { what: "run", few: 1280, many: 12800, tries: 5 },
];

pub fn count(guard: &Path) -> Result<Counts, AnyError> {
    let socket = std::env::temp_dir().join(format!("poolder-guard-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let mut server = Command::new(guard).arg("serve").arg(&socket).stdout(Stdio::null()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counted = COUNTED.iter().map(|operation| {
        let count = operation.count(|jobs| instructions(guard, &socket, operation.what, jobs))?;
        Ok((operation.what.to_owned(), count))
    });
    let counted = counted.collect();
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_file(&socket);
    counted
}

/// Returns the instructions of one run of the guard.
fn instructions(guard: &Path, socket: &Path, what: &str, jobs: u64) -> Result<u64, AnyError> {
    let output = Command::new(CALLGRIND[0])
        .args(&CALLGRIND[1..])
        .arg(guard)
        .arg("client")
        .arg(format!("unix://{}", socket.display()))
        .args([what, &jobs.to_string()])
        .output()?;
    let text = String::from_utf8_lossy(&output.stderr);
    match collected(&text) {
        Some(number) if output.status.success() => Ok(number),
        _ => Err(format!("{what} could not be counted:\n{text}").into()),
    }
}

/// Returns the version of the compiler and the kind of the machine, both of which influence the
/// count.
pub fn toolchain() -> String {
    let output = Command::new("rustc").arg("-vV").output();
    let text = output
        .map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).into_owned());
    let field = |name: &str| {
        text.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim().to_owned()
    };
    format!("rustc {} {}, {}", field("release:"), field("host:"), libc())
}
