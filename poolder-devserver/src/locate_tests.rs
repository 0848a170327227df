//! The order of the search, on simulated machines.

use std::collections::HashMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::{Surroundings, search};
use crate::install::ENTRIES;
use crate::launch::{Launch, Program};
use crate::version::Version;

#[derive(Default)]
struct Machine {
    vars: HashMap<String, OsString>,
    programs: HashMap<PathBuf, &'static str>,
    entries: HashMap<PathBuf, Launch>,
}

impl Machine {
    fn new() -> Self {
        Self::default().var("PATH", "/usr/bin:/opt/bin")
    }

    fn var(mut self, name: &str, value: &str) -> Self {
        self.vars.insert(name.to_owned(), OsString::from(value));
        self
    }

    fn program(mut self, path: &str, version: &'static str) -> Self {
        self.programs.insert(PathBuf::from(path), version);
        self
    }

    fn entry(mut self, path: &Path, launch: Launch) -> Self {
        self.entries.insert(path.to_path_buf(), launch);
        self
    }

    /// Returns the path or image that would be started, or the error's text.
    fn search(&self) -> Result<String, String> {
        match search(self) {
            Ok(found) => Ok(found.launch.to_string()),
            Err(missing) => Err(missing.into_error(&[]).to_string()),
        }
    }
}

impl Surroundings for Machine {
    fn var(&self, name: &str) -> Option<OsString> {
        self.vars.get(name).cloned()
    }

    fn is_program(&self, path: &Path) -> bool {
        self.programs.contains_key(path)
    }

    fn version(&self, program: &Program) -> Result<Version, String> {
        let path = program.path.display();
        let number = self.programs.get(&program.path).ok_or(format!("{path} is not there"))?;
        let version = Version::parse(&format!("Redis server v={number}")).expect("a version");
        if version.is_supported() { Ok(version) } else { Err(format!("{path} is {number}")) }
    }

    fn caches(&self) -> Vec<PathBuf> {
        vec![PathBuf::from("/ws/target/poolder-dev"), PathBuf::from("/home/me/.cache/poolder")]
    }

    fn entry(&self, path: &Path) -> Option<Launch> {
        self.entries.get(path).cloned()
    }
}

fn cached(dir: &str, index: usize) -> PathBuf {
    Path::new(dir).join(ENTRIES[index])
}

#[test]
fn the_named_program_comes_first() {
    let machine = Machine::new()
        .var("POOLDER_REDIS_BIN", "/my/server")
        .program("/my/server", "6.2.0")
        .program("/usr/bin/valkey-server", "9.1.2");
    assert_eq!(machine.search(), Ok("/my/server".into()));
}

#[test]
fn a_wrong_named_program_is_an_error_not_a_hint() {
    let machine = Machine::new()
        .var("POOLDER_REDIS_BIN", "/my/typo")
        .program("/usr/bin/valkey-server", "9.1.2");
    let text = machine.search().expect_err("the typo is reported");
    assert!(text.contains("POOLDER_REDIS_BIN") && text.contains("/my/typo"), "{text}");
}

#[test]
fn an_empty_variable_names_nothing() {
    let machine = Machine::new().var("POOLDER_REDIS_BIN", "");
    let machine = machine.program("/opt/bin/redis-server", "7.0.0");
    assert_eq!(machine.search(), Ok("/opt/bin/redis-server".into()));
}

#[test]
fn names_go_before_directories() {
    let tools = Machine::new().program("/usr/bin/redis-check-rdb", "7.0.15");
    assert_eq!(tools.search(), Ok("/usr/bin/redis-check-rdb".into()));
    let tools = tools.program("/opt/bin/valkey-check-rdb", "8.1.1");
    assert_eq!(tools.search(), Ok("/opt/bin/valkey-check-rdb".into()));
    let redis = tools.program("/usr/bin/redis-server", "7.0.15");
    assert_eq!(redis.search(), Ok("/usr/bin/redis-server".into()));
    let valkey = redis.program("/opt/bin/valkey-server", "8.1.1");
    assert_eq!(valkey.search(), Ok("/opt/bin/valkey-server".into()));
}

#[test]
fn an_old_server_is_passed_over_and_named() {
    let old = Machine::new().program("/usr/bin/redis-server", "5.0.14");
    let text = old.search().expect_err("too old");
    assert!(text.contains("/usr/bin/redis-server is 5.0.14"), "{text}");
    let new = old.program("/opt/bin/redis-server", "7.2.4");
    assert_eq!(new.search(), Ok("/opt/bin/redis-server".into()));
}

#[test]
fn installed_servers_come_last() {
    let wheel = cached("/ws/target/poolder-dev", 0);
    let users = cached("/home/me/.cache/poolder", 0);
    let docker = cached("/ws/target/poolder-dev", ENTRIES.len() - 1);
    let program = |entry: &Path| Launch::Program(Program::at(entry.join("valkey-server")));

    let machine = Machine::new()
        .entry(&users, program(&users))
        .program(&users.join("valkey-server").display().to_string(), "9.1.2");
    assert_eq!(machine.search(), Ok(users.join("valkey-server").display().to_string()));

    let machine = machine.entry(&docker, Launch::Docker("img".into()));
    assert_eq!(machine.search(), Ok("the Docker image img".into()));

    // An entry whose program does not run any more is skipped.
    let machine = machine.entry(&wheel, program(&wheel));
    assert_eq!(machine.search(), Ok("the Docker image img".into()));

    let machine = machine.program(&wheel.join("valkey-server").display().to_string(), "9.1.2");
    assert_eq!(machine.search(), Ok(wheel.join("valkey-server").display().to_string()));

    let machine = machine.program("/usr/bin/redis-check-rdb", "7.0.15");
    assert_eq!(machine.search(), Ok("/usr/bin/redis-check-rdb".into()));
}

#[test]
fn nothing_found_names_what_to_run() {
    let text = Machine::new().search().expect_err("an empty machine");
    assert!(text.contains("cargo xtask test") && text.contains("POOLDER_REDIS_BIN"), "{text}");
}
