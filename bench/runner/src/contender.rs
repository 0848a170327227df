//! The contenders. Each runs in a process of its own, which gets its instructions from the runner
//! and is timed from outside.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use bench_protocol::{Order, Report};

use crate::args::Args;
use crate::figures::{Figures, figures};
use crate::rows::Row;
use crate::server::Server;

/// The time limit for preparing, and for the work. A contender that exceeds it counts as stuck.
const PATIENCE: Duration = Duration::from_secs(180);

/// A queue that is measured.
#[derive(Debug)]
pub struct Contender {
    pub name: String,
    /// The command that starts it, or the reason why it cannot run.
    pub program: Result<Vec<String>, String>,
}

/// Returns all contenders that the command line asks for, raw and Poolder first.
pub fn all(args: &Args) -> Vec<Contender> {
    wanted(["raw", "poolder"].map(|name| inside(name, &[name])), args)
}

/// Returns Poolder once for each mode of a pool, the shared one first.
pub fn modes(args: &Args) -> Vec<Contender> {
    wanted(crate::poolder::addressed::MODES.map(|name| inside(name, &["mode", name])), args)
}

/// Returns a contender inside this program, started with these arguments.
fn inside(name: &str, arguments: &[&str]) -> Contender {
    let own = std::env::current_exe().map(|path| path.display().to_string());
    let program = own
        .map_err(|error| error.to_string())
        .map(|own| [own].into_iter().chain(arguments.iter().map(ToString::to_string)).collect());
    Contender { name: name.into(), program }
}

fn wanted<const N: usize>(contenders: [Contender; N], args: &Args) -> Vec<Contender> {
    let wanted =
        |one: &Contender| args.contenders.is_empty() || args.contenders.contains(&one.name);
    contenders.into_iter().filter(wanted).collect()
}

impl Contender {
    /// Measures one row.
    pub fn measure(&self, row: &Row, server: &Server) -> Result<Figures, String> {
        let program = self.program.as_ref().map_err(Clone::clone)?;
        server.flush().map_err(|error| error.to_string())?;
        let order = Order { url: server.url.clone(), ..row.order.clone() };
        let mut processes = vec![];
        for process in 0..row.processes {
            processes.push(Process::start(program, &Order { process, ..order.clone() })?);
        }
        for process in &mut processes {
            process.expect("ready")?;
        }
        if row.full {
            server.fill().map_err(|error| error.to_string())?;
        }
        let before = server.sample().map_err(|error| error.to_string())?;
        let cpu = processes.iter().map(Process::cpu_us).sum::<f64>();
        for process in &mut processes {
            process.say("go")?;
        }
        let report = match processes.as_mut_slice() {
            [one] => one.report()?,
            _ => self.watch(row, server)?,
        };
        let after = server.sample().map_err(|error| error.to_string())?;
        let cpu = processes.iter().map(Process::cpu_us).sum::<f64>() - cpu;
        Ok(figures(&report, row.order.nodes, (&before, &after), cpu))
    }

    /// Watches the stream from its first completed job to its last, because none of several
    /// processes knows when all jobs are done.
    fn watch(&self, row: &Row, server: &Server) -> Result<Report, String> {
        let stream = if self.name == "raw" { crate::raw::STREAM } else { crate::poolder::STREAM };
        let (jobs, deadline) = (row.order.backlog, Instant::now() + PATIENCE);
        let mut first = None;
        loop {
            let left = server.entries(stream).map_err(|error| error.to_string())?;
            if left < jobs && first.is_none() {
                first = Some((Instant::now(), left));
            }
            if let (0, Some((start, jobs))) = (left, first) {
                let seconds = start.elapsed().as_secs_f64();
                // Jobs completed before the clock started do not count for the rate.
                let seconds = seconds * row.order.backlog as f64 / (jobs.max(1)) as f64;
                return Ok(Report {
                    jobs: row.order.backlog,
                    seconds,
                    latency: None,
                    idle_us: 0.0,
                    longest_ms: None,
                    trips: None,
                    bytes: None,
                });
            }
            if Instant::now() > deadline {
                return Err(format!("{left} jobs were left after {PATIENCE:?}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

/// A running contender. Dropping this kills it.
struct Process {
    child: Child,
    input: ChildStdin,
    lines: mpsc::Receiver<String>,
}

impl Process {
    fn start(program: &[String], order: &Order) -> Result<Self, String> {
        let (first, rest) = program.split_first().ok_or("no program")?;
        let order = serde_json::to_string(order).map_err(|error| error.to_string())?;
        let mut child = Command::new(first)
            .args(rest)
            .arg(order)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{first} cannot be started: {error}"))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (say, lines) = mpsc::sync_channel(64);
        let output = output.ok_or("no output")?;
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if say.send(line).is_err() {
                    return;
                }
            }
        });
        Ok(Self { child, input: input.ok_or("no input")?, lines })
    }

    fn say(&mut self, word: &str) -> Result<(), String> {
        writeln!(self.input, "{word}").map_err(|error| format!("it is gone: {error}"))
    }

    /// Waits for a line that starts with `word`, and returns the rest of the line.
    fn expect(&mut self, word: &str) -> Result<String, String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self.lines.recv_timeout(left).map_err(|error| match error {
                mpsc::RecvTimeoutError::Timeout => format!("no {word:?} within {PATIENCE:?}"),
                mpsc::RecvTimeoutError::Disconnected => "it ended early".to_owned(),
            })?;
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
            if let Some(reason) = line.strip_prefix("not-run") {
                return Err(reason.trim().to_owned());
            }
        }
    }

    fn report(&mut self) -> Result<Report, String> {
        let text = self.expect("done")?;
        serde_json::from_str(&text).map_err(|error| format!("{error} in {text}"))
    }

    /// Returns the CPU time of all its threads, in µs.
    fn cpu_us(&self) -> f64 {
        let dir = format!("/proc/{}/task", self.child.id());
        let Ok(tasks) = std::fs::read_dir(dir) else { return 0.0 };
        let of = |task: std::fs::DirEntry| {
            let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<f64>().ok()
        };
        tasks.filter_map(Result::ok).filter_map(of).sum::<f64>() / 1000.0
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
