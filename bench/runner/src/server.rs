//! The private server of a run, and its own figures.

use std::time::Duration;

use poolder_devserver::Install;

/// A server that ends with the run.
#[derive(Debug)]
pub struct Server {
    _process: poolder_devserver::Server,
    pub url: String,
    pub version: String,
}

/// The server's figures at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct Sample {
    /// CPU time in µs, user and system.
    pub cpu_us: f64,
    /// Calls of all commands, including those inside scripts.
    pub commands: f64,
    /// The number of reads from connections.
    pub reads: f64,
    /// Bytes in use.
    pub memory: f64,
    /// Open connections, without the one that asks.
    pub connections: f64,
}

type AnyError = Box<dyn std::error::Error>;

impl Server {
    /// Starts the server on a free port, without persistence. Uses TCP, as most fleets do.
    pub fn start(install: Install) -> Result<Self, AnyError> {
        let process = poolder_devserver::Server::builder().tcp().install(install).start()?;
        let url = process.tcp_url().ok_or("the server has no port")?;
        let mut server = Self { _process: process, url, version: String::new() };
        server.version = version(&server.info("server")?).unwrap_or_default();
        Ok(server)
    }

    /// Describes the server in one line.
    pub fn describe(&self) -> String {
        format!("{} without persistence, over TCP on this machine", self.version)
    }

    /// Deletes all keys, and lifts the limit of [`Server::fill`].
    pub fn flush(&self) -> redis::RedisResult<()> {
        self.limit(0)?;
        redis::cmd("FLUSHALL").arg("SYNC").exec(&mut self.connect()?)
    }

    /// Lets the server be out of memory, so that it refuses what needs more.
    pub fn fill(&self) -> redis::RedisResult<()> {
        self.limit(1)
    }

    /// Sets the memory that the server may use, in bytes; 0 for no limit.
    fn limit(&self, bytes: u64) -> redis::RedisResult<()> {
        redis::cmd("CONFIG").arg("SET").arg("maxmemory").arg(bytes).exec(&mut self.connect()?)
    }

    /// Reads the server's figures.
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
            connections: number("connected_clients") - 1.0,
        })
    }

    /// Returns the number of entries in a stream.
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

/// Returns the engine and its version from the section `server` of `INFO`.
pub fn version(info: &str) -> Option<String> {
    let version = |engine, name| field(info, name).map(|version| format!("{engine} {version}"));
    version("Valkey", "valkey_version").or_else(|| version("Redis", "redis_version"))
}

/// Returns a field of `INFO`.
pub fn field<'a>(info: &'a str, name: &str) -> Option<&'a str> {
    info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')).map(str::trim)
}
