//! A server ends with its process, however the process ends.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use poolder_devserver::Server;

/// Set for the child process, which runs this test program again.
const ROLE: &str = "POOLDER_DEVSERVER_TEST_HOLDER";

/// The code of the child process, not a test by itself. It holds a server until its input ends.
#[test]
fn holder() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let server = Server::start().expect("a server");
    if role == "paused" {
        server.pause().expect("paused");
    }
    println!("\nholds {} {}", server.pid(), server.dir().display());
    std::io::stdin().read_to_end(&mut Vec::new()).expect("input");
}

struct Holder {
    process: Child,
    /// The holder lives until this input is closed.
    _input: Option<ChildStdin>,
    server: u32,
    dir: PathBuf,
}

impl Holder {
    fn start(role: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut process = Command::new(program)
            .args(["holder", "--exact", "--nocapture"])
            .env(ROLE, role)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the holder starts");
        let input = process.stdin.take();
        let output = BufReader::new(process.stdout.take().expect("its output"));
        let lines = output.lines().map(|line| line.expect("a line"));
        let line = lines
            .filter_map(|line| line.strip_prefix("holds ").map(str::to_owned))
            .next()
            .expect("the holder says what it holds");
        let (pid, dir) = line.split_once(' ').expect("two words");
        let server = pid.parse().expect("a number");
        Self { process, _input: input, server, dir: PathBuf::from(dir) }
    }

    /// Kills the holder with SIGKILL and waits until the server has ended.
    fn kill(mut self) {
        assert!(runs(self.server) && self.dir.exists());
        self.process.kill().expect("killed");
        self.process.wait().expect("gone");
        let end = Instant::now() + Duration::from_secs(20);
        while runs(self.server) || self.dir.exists() {
            assert!(Instant::now() < end, "server {} outlived its process", self.server);
            // The server is no child of this process, so no event reports its end.
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

fn runs(pid: u32) -> bool {
    // Uses the shell's kill, since not every system has kill as a program.
    let mut kill = Command::new("sh");
    kill.args(["-c", "kill -0 \"$1\"", "sh", &pid.to_string()]).stderr(Stdio::null());
    kill.status().is_ok_and(|status| status.success()) && !is_zombie(pid)
}

/// In a container without an init process, an orphaned process may never be reaped.
fn is_zombie(pid: u32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('Z')))
}

#[test]
fn a_server_is_gone_with_a_killed_process() {
    Holder::start("running").kill();
}

#[test]
fn a_paused_server_is_gone_with_a_killed_process() {
    Holder::start("paused").kill();
}
