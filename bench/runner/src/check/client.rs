//! Counts the instructions of the client, against a scripted server.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::AnyError;
use super::baseline::{Counts, WithMetrics, with_metrics};
use super::callgrind::{CALLGRIND, Operation, collected, libc};

/// `run` and `run-metrics` have a node, whose timers make their counts the least stable ones.
const COUNTED: [Operation; 6] = [
    Operation { what: "enqueue", few: 640, many: 2560, tries: 3 },
    Operation { what: "bulk", few: 1000, many: 4000, tries: 2 },
    Operation { what: "claim", few: 640, many: 3840, tries: 2 },
    Operation { what: "settle", few: 640, many: 3840, tries: 2 },
    Operation { what: "run", few: 1280, many: 12800, tries: 5 },
    Operation { what: "run-metrics", few: 1280, many: 12800, tries: 5 },
];

/// How often operations are counted again of which metrics seem to cost too much.
const COUNTED_AGAIN: usize = 3;

pub fn count(guard: &Path) -> Result<Counts, AnyError> {
    let socket = std::env::temp_dir().join(format!("poolder-guard-{}.sock", std::process::id()));
    let _ = std::fs::remove_file(&socket);
    let mut server = Command::new(guard).arg("serve").arg(&socket).stdout(Stdio::null()).spawn()?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while !socket.exists() && Instant::now() < deadline {
        std::thread::sleep(Duration::from_millis(10));
    }
    let counted = count_all(|what, jobs| instructions(guard, &socket, what, jobs));
    let _ = server.kill();
    let _ = server.wait();
    let _ = std::fs::remove_file(&socket);
    counted
}

/// Counts all operations. Those of which metrics seem to cost too much are counted again with and
/// without metrics, a few times at most: of each the least counts, and a busy machine only adds.
fn count_all(
    instructions: impl Fn(&str, u64) -> Result<u64, AnyError>,
) -> Result<Counts, AnyError> {
    let mut counted = Counts::new();
    for again in 0..=COUNTED_AGAIN {
        let dear: Vec<String> = with_metrics(&counted)
            .into_iter()
            .filter(WithMetrics::is_worse)
            .flat_map(|pair| [pair.what.clone(), format!("{}-metrics", pair.what)])
            .collect();
        let is_counted = |what: &str| again == 0 || dear.iter().any(|name| name == what);
        for operation in COUNTED.iter().filter(|operation| is_counted(operation.what)) {
            let count = operation.count(|jobs| instructions(operation.what, jobs))?;
            let least = counted.entry(operation.what.to_owned()).or_insert(count);
            *least = count.min(*least);
        }
    }
    Ok(counted)
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

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn operations_that_metrics_make_too_dear_are_counted_again() {
        let run = |dear_rounds: u64| {
            let asked = RefCell::new(vec![]);
            let counted = count_all(|what, jobs| {
                let asked = &mut *asked.borrow_mut();
                asked.push(what.to_owned());
                let earlier = asked.iter().filter(|name| *name == "run-metrics").count() as u64;
                let is_dear = what == "run-metrics" && earlier.saturating_sub(1) / 10 < dear_rounds;
                Ok(jobs * if is_dear { 120 } else { 100 })
            });
            (counted.unwrap()["run-metrics"], asked.into_inner())
        };
        let count = |asked: &[String], what| asked.iter().filter(|name| *name == what).count();
        let (least, asked) = run(1);
        assert_eq!(least, 100, "the second count was fine");
        assert_eq!((count(&asked, "run"), count(&asked, "enqueue")), (20, 6));
        let (least, asked) = run(9);
        assert_eq!((least, count(&asked, "run-metrics")), (120, 10 * (1 + COUNTED_AGAIN)));
    }
}
