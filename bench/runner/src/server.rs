//! The private server of a run, and what it says about itself.

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A server that ends with the run.
#[derive(Debug)]
pub struct Server {
    process: Child,
    pub url: String,
    pub version: String,
}

/// The server's own figures at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// CPU time in µs, user and system.
    pub cpu_us: f64,
    /// Calls of all commands, those inside scripts counted.
    pub commands: f64,
    /// How often it read from a connection.
    pub reads: f64,
    /// Bytes in use.
    pub memory: f64,
}

type AnyError = Box<dyn std::error::Error>;

impl Server {
    /// Starts it on a free port, without persistence.
    pub fn start() -> Result<Self, AnyError> {
        let program = std::env::var("POOLDER_REDIS_BIN").unwrap_or_else(|_| "redis-server".into());
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let process = Command::new(&program)
            .args(["--port", &port.to_string(), "--save", "", "--appendonly", "no"])
            .args(["--bind", "127.0.0.1"])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("{program} cannot be started: {error}"))?;
        let url = format!("redis://127.0.0.1:{port}/");
        let mut server = Self { process, url, version: String::new() };
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            match server.info("server") {
                Ok(info) => {
                    let version = field(&info, "valkey_version")
                        .map(|version| format!("Valkey {version}"))
                        .or_else(|| field(&info, "redis_version").map(|v| format!("Redis {v}")));
                    server.version = version.unwrap_or_default();
                    return Ok(server);
                }
                Err(error) if Instant::now() > deadline => return Err(error.into()),
                Err(_) => std::thread::sleep(Duration::from_millis(50)),
            }
        }
    }

    /// One line about it.
    pub fn describe(&self) -> String {
        format!("{} without persistence, over TCP on this machine", self.version)
    }

    /// Empties it.
    pub fn flush(&self) -> redis::RedisResult<()> {
        redis::cmd("FLUSHALL").arg("SYNC").exec(&mut self.connect()?)
    }

    /// What it has done so far.
    pub fn sample(&self) -> redis::RedisResult<Sample> {
        let info = self.info("everything")?;
        let number =
            |name| field(&info, name).and_then(|text| text.parse::<f64>().ok()).unwrap_or(0.0);
        let calls = |line: &str| {
            let (name, rest) = line.strip_prefix("cmdstat_")?.split_once(":calls=")?;
            let own = matches!(name, "info" | "flushall" | "hello");
            rest.split(',').next().filter(|_| !own)?.parse::<f64>().ok()
        };
        Ok(Sample {
            cpu_us: (number("used_cpu_user") + number("used_cpu_sys")) * 1e6,
            commands: info.lines().filter_map(calls).sum(),
            reads: number("total_reads_processed"),
            memory: number("used_memory"),
        })
    }

    /// How many entries a stream has.
    pub fn entries(&self, stream: &str) -> redis::RedisResult<u64> {
        redis::cmd("XLEN").arg(stream).query(&mut self.connect()?)
    }

    fn info(&self, section: &str) -> redis::RedisResult<String> {
        redis::cmd("INFO").arg(section).query(&mut self.connect()?)
    }

    fn connect(&self) -> redis::RedisResult<redis::Connection> {
        redis::Client::open(self.url.as_str())?.get_connection_with_timeout(Duration::from_secs(2))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
