//! Checks the alerts and the text of the metrics with `promtool`.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{fs, thread};

use poolder_devserver::{Install, Server};

use crate::{cargo, programs, server};

/// The directory of `promtool` where the system has none.
const DIR: &str = "target/poolder-dev/promtool";

/// How long a node may take to run a job and to show it in its metrics.
const NODE_TIMEOUT: Duration = Duration::from_secs(30);

/// Checks the rules of the alerts, raises each alert once, and checks the texts that
/// `poolder metrics` writes and that a node serves, each for a queue with jobs. Where `promtool`
/// cannot be had, prints that these checks were not run.
pub(crate) fn check(install: Install) -> Result<(), String> {
    let Some(promtool) = promtool() else {
        println!("NOT RUN: the alerts and the text of the metrics: promtool cannot be installed");
        return Ok(());
    };
    let deploy = cargo::root().join("deploy");
    for words in [["check", "rules", "alerts.yml"], ["test", "rules", "alerts_test.yml"]] {
        succeed(Command::new(&promtool).args(words).current_dir(&deploy))?;
    }
    let server = server::start(install)?;
    lint(&promtool, &of_node(&server)?, OF_NODE)?;
    lint(&promtool, &of_namespace(&server)?, "poolder_queue_events_total{")
}

/// A metric of a node that it has once it has run a job.
const OF_NODE: &str = "poolder_attempt_duration_seconds_count{";

/// Runs a program to its end, and returns its output.
fn run(server: &Server, name: &str, words: &[&str]) -> Result<String, String> {
    let mut command = programs::program(name)?;
    server::for_applications(command.args(words), server);
    cargo::output(&mut command)
}

/// Returns the metrics of the namespace, in which jobs have run.
fn of_namespace(server: &Server) -> Result<String, String> {
    run(server, "poolder", &["metrics"])
}

/// Runs a node, and returns what it serves once it has run a job.
fn of_node(server: &Server) -> Result<String, String> {
    // A port that was free a moment ago.
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    let address = free.map_err(|error| format!("no port is free: {error}"))?;
    let job = ["user.welcome", r#"{"name":"Ada"}"#, "--queue", "mail"];
    run(server, "poolder", &[&["job", "enqueue"], &job[..]].concat())?;
    let mut command = programs::program("web")?;
    command.arg("worker").env("HEALTH", address.to_string()).stdout(Stdio::null());
    server::for_applications(&mut command, server);
    let mut node = command.spawn().map_err(|error| format!("the node: {error}"))?;
    let end = Instant::now() + NODE_TIMEOUT;
    let text = loop {
        match get(address, "/metrics") {
            Ok(text) if text.contains(OF_NODE) => break Ok(text),
            answer if Instant::now() >= end => {
                break Err(format!("the node has run no job in {NODE_TIMEOUT:?}: {answer:?}"));
            }
            // The node tells nothing before it listens.
            _ => thread::sleep(Duration::from_millis(50)),
        }
    };
    // A failed kill means that the node has ended already.
    let _ = node.kill();
    let _ = node.wait();
    text
}

/// Returns the body of the answer to a request.
fn get(address: SocketAddr, path: &str) -> io::Result<String> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    write!(stream, "GET {path} HTTP/1.1\r\nhost: node\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned());
    body.ok_or_else(|| io::Error::other(format!("no body in {answer:?}")))
}

/// Gives a text to `promtool check metrics`. It must have a sample of the metric `wanted`.
fn lint(promtool: &Path, text: &str, wanted: &str) -> Result<(), String> {
    if !text.contains(wanted) {
        return Err(format!("the metrics say nothing of the jobs that have run:\n{text}"));
    }
    let failed = |error: std::io::Error| format!("promtool: {error}");
    let mut child = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut input) = child.stdin.take() {
        input.write_all(text.as_bytes()).map_err(failed)?;
    }
    let status = child.wait().map_err(failed)?;
    if status.success() { Ok(()) } else { Err(format!("promtool check metrics: {status}\n{text}")) }
}

/// Returns the `promtool` of the system, or the one of Debian's package `prometheus`, which is
/// downloaded and unpacked without being installed, since it brings a service.
fn promtool() -> Option<PathBuf> {
    let works = |program: &Path| {
        let output = Command::new(program).arg("--version").output();
        output.is_ok_and(|output| output.status.success())
    };
    let dir = cargo::root().join(DIR);
    let unpacked = dir.join("usr/bin/promtool");
    for known in [PathBuf::from("promtool"), unpacked.clone()] {
        if works(&known) {
            return Some(known);
        }
    }
    fs::create_dir_all(&dir).ok()?;
    let download = || quiet(Command::new("apt-get").args(["-qq", "download", "prometheus"]), &dir);
    if !download() {
        // The lists of packages may be missing or old.
        quiet(Command::new("apt-get").args(["-qq", "update"]), &dir);
        if !download() {
            return None;
        }
    }
    let files = fs::read_dir(&dir).ok()?.flatten().map(|entry| entry.path());
    for archive in files.filter(|file| file.extension().is_some_and(|end| end == "deb")) {
        quiet(Command::new("dpkg-deb").arg("-x").arg(&archive).arg("."), &dir);
        fs::remove_file(archive).ok()?;
    }
    // The server is as large as the tool, and not used.
    let _ = fs::remove_file(dir.join("usr/bin/prometheus"));
    works(&unpacked).then_some(unpacked)
}

fn quiet(command: &mut Command, dir: &Path) -> bool {
    let command = command.current_dir(dir).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

fn succeed(command: &mut Command) -> Result<(), String> {
    let status = cargo::status(command)?;
    let words: Vec<_> = command.get_args().map(|word| word.display().to_string()).collect();
    if status.success() { Ok(()) } else { Err(format!("promtool {}: {status}", words.join(" "))) }
}
