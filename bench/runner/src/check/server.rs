//! Counts the instructions of a real server, which runs under callgrind. Each run has a new server:
//! callgrind prints the sum when the server ends.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use poolder_devserver::{Install, Server};

use super::AnyError;
use super::baseline::Counts;
use super::callgrind::{CALLGRIND, Operation, collected, libc};
use crate::server::{field, version};

const COUNTED: [Operation; 6] = [
    Operation { what: "enqueue", few: 640, many: 2560, tries: 3 },
    Operation { what: "drain", few: 640, many: 2560, tries: 3 },
    Operation { what: "drain-metrics", few: 640, many: 2560, tries: 3 },
    Operation { what: "retry", few: 128, many: 640, tries: 3 },
    Operation { what: "poll", few: 160, many: 800, tries: 3 },
    Operation { what: "push", few: 640, many: 2560, tries: 3 },
];

/// Settings without which the clock decides about instructions: the server's timer fires once a
/// second, hash tables grow by commands only, and no command is slow enough to be logged.
const SETTINGS: [(&str, &str); 5] = [
    ("hz", "1"),
    ("dynamic-hz", "no"),
    ("activerehashing", "no"),
    ("io-threads", "1"),
    ("slowlog-log-slower-than", "-1"),
];

/// The longest time in which a server ends. It usually takes a tenth of a second.
const END_TIMEOUT: Duration = Duration::from_secs(30);

/// Counts all operations.
pub fn count(guard: &Path) -> Result<Counts, AnyError> {
    let count = |operation: &Operation| {
        let count = operation.count(|jobs| instructions(guard, operation, jobs))?;
        Ok((operation.what.to_owned(), count))
    };
    COUNTED.iter().map(count).collect()
}

/// Returns the instructions of a server that stores the jobs of the longer run, and then runs an
/// operation with `jobs` of them.
fn instructions(guard: &Path, operation: &Operation, jobs: u64) -> Result<u64, AnyError> {
    let server = start(Install::Never)?;
    let output = Command::new(guard)
        .args(["server", &server.url(), operation.what])
        .args([jobs, operation.many].map(|number| number.to_string()))
        .output()?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let log = server.log_tail();
        return Err(format!("{} of the server failed: {text}\n{log}", operation.what).into());
    }
    stop(server)
}

/// Returns the name of the server that is counted: its version and build, and the C library. All of
/// them influence the count. Returns an error when no server can be counted here.
pub fn name(install: Install) -> Result<String, AnyError> {
    let server = start(install)?;
    let info = server.command(&["INFO", "server"])?;
    stop(server)?;
    let version = version(&info).unwrap_or_default();
    let build = field(&info, "redis_build_id").unwrap_or_default();
    Ok(format!("{version} build {build}, {}, {}", std::env::consts::ARCH, libc()))
}

fn start(install: Install) -> Result<Server, poolder_devserver::Error> {
    let mut builder = Server::builder().install(install).under(CALLGRIND);
    for (directive, value) in SETTINGS {
        builder = builder.arg(directive, value);
    }
    builder.start()
}

/// Ends a server, and returns its instructions.
fn stop(server: Server) -> Result<u64, AnyError> {
    // The server closes the connection, and gives no reply.
    let _ = server.command(&["SHUTDOWN", "NOSAVE"]);
    let deadline = Instant::now() + END_TIMEOUT;
    loop {
        let log = server.log_tail();
        if let Some(number) = collected(&log) {
            return Ok(number);
        }
        if Instant::now() > deadline {
            return Err(format!("callgrind printed no sum; the log ends with:\n{log}").into());
        }
        // No event reports when a file has grown.
        std::thread::sleep(Duration::from_millis(5));
    }
}
