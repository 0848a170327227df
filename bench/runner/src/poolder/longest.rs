//! The longest commands of looks, as the server measures them, each with the name of its script.

use std::collections::HashMap;

use bench_protocol::Work;
use poolder::Error;
use poolder_core::broker::script_texts;
use redis::{Connection, Value};

use super::commands;

/// The commands of a server that take longer than 0.1 ms.
pub(super) struct Slow {
    server: Connection,
    /// The scripts by their hashes.
    names: HashMap<String, &'static str>,
}

/// A command, and how long it has taken.
#[derive(Debug, Clone)]
pub(super) struct Timed {
    ms: f64,
    name: String,
}

impl Slow {
    /// Begins to collect the slow commands of the server at this URL.
    pub(super) fn of(url: &str) -> Result<Self, Error> {
        let admin = redis::Client::open(url).map_err(of_redis)?;
        let mut server = admin.get_connection().map_err(of_redis)?;
        let mut set = redis::cmd("CONFIG");
        set.arg("SET").arg("slowlog-log-slower-than").arg(100).arg("slowlog-max-len").arg(100_000);
        set.exec(&mut server).map_err(of_redis)?;
        let mut names = HashMap::new();
        for (name, text) in script_texts() {
            let mut load = redis::cmd("SCRIPT");
            load.arg("LOAD").arg(text);
            names.insert(load.query::<String>(&mut server).map_err(of_redis)?, *name);
        }
        Ok(Self { server, names })
    }

    /// Forgets the commands so far.
    pub(super) fn reset(&mut self) -> Result<(), Error> {
        redis::cmd("SLOWLOG").arg("RESET").exec(&mut self.server).map_err(of_redis)
    }

    /// Returns the longest command since the last reset; one of 0.1 ms when none took longer.
    pub(super) fn longest(&mut self) -> Result<Timed, Error> {
        let mut get = redis::cmd("SLOWLOG");
        let slow: Vec<Value> = get.arg("GET").arg(-1).query(&mut self.server).map_err(of_redis)?;
        let read = |entry: Value| {
            let Value::Array(fields) = entry else { return None };
            let micros: f64 = redis::from_redis_value(fields.get(2)?.clone()).ok()?;
            let words: Vec<Vec<u8>> = redis::from_redis_value(fields.get(3)?.clone()).ok()?;
            Some(Timed { ms: micros / 1_000.0, name: self.name(&words) })
        };
        let none = Timed { ms: 0.1, name: "none".to_owned() };
        Ok(slow
            .into_iter()
            .filter_map(read)
            .fold(none, |longest, next| if next.ms > longest.ms { next } else { longest }))
    }

    /// Returns the name of a command: that of its script, if it runs one of Poolder's.
    fn name(&self, words: &[Vec<u8>]) -> String {
        let word = |at| words.get(at).map(|word: &Vec<u8>| String::from_utf8_lossy(word));
        let script = word(1).and_then(|hash| self.names.get(&*hash));
        let command = || word(0).unwrap_or_default().into_owned();
        script.map_or_else(command, |script| (*script).to_owned())
    }
}

/// Returns an error of the connection to the server that is measured.
fn of_redis(error: redis::RedisError) -> Error {
    Error::invalid(error.to_string())
}

/// The longest command of each kind of look.
///
/// The server measures a command by the clock, so that the time counts in which another process had
/// its core. The same look finds the same data each time: its longest command takes as long as in the
/// shortest of the rounds, and all beyond is time of others.
pub(super) struct Longest {
    /// For each kind of look the least of its longest commands.
    least: Vec<Option<Timed>>,
}

impl Longest {
    pub(super) fn new(work: Work) -> Self {
        let kinds = match work {
            Work::LookOverview => 4,
            Work::LookPage => 32,
            Work::LookSearch => 6,
            Work::LookCommand => commands::COMMANDS.len(),
            _ => 20,
        };
        Self { least: vec![None; kinds] }
    }

    pub(super) fn add(&mut self, look: u64, longest: Timed) {
        let kinds = self.least.len();
        let of = &mut self.least[usize::try_from(look).unwrap_or(0) % kinds];
        if of.as_ref().is_none_or(|least| longest.ms < least.ms) {
            *of = Some(longest);
        }
    }

    /// Returns the time of the longest command of all looks that were made, in ms.
    pub(super) fn of_all(&self) -> f64 {
        self.least.iter().flatten().fold(0.1, |most, of| f64::max(most, of.ms))
    }

    /// Writes the five longest to standard error, with the names of the looks where they have some.
    pub(super) fn write(&self, names: Option<&[&str]>) {
        let made = self.least.iter().enumerate();
        let mut made: Vec<_> = made.filter_map(|(at, of)| Some((at, of.as_ref()?))).collect();
        made.sort_by(|(_, a), (_, b)| b.ms.total_cmp(&a.ms));
        eprintln!("| look | longest command | ms |\n|---|---|---|");
        for (at, Timed { ms, name }) in made.into_iter().take(5) {
            let look = names.map_or_else(|| format!("variant {at}"), |all| all[at].to_owned());
            eprintln!("| {look} | {name} | {ms:.2} |");
        }
    }
}
