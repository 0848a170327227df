//! The house rules that a compiler does not check: packages and layers import one way, keys and
//! Redis commands stand in their places, files are short, scripts are documented and bounded.

mod api;
mod code_map;
mod counters;
mod crates;
mod deploys;
mod documents;
mod imports;
mod layers;
mod metrics;
mod rust_blocks;
mod surface;
mod words;

use std::fs;
use std::path::{Path, PathBuf};

/// The packages of the project that each package may depend on.
const EDGES: &[(&str, &[&str])] = &[
    ("poolder-cron", &[]),
    ("poolder-core", &["poolder-cron"]),
    ("poolder-macros", &["poolder-cron"]),
    ("poolder-client", &["poolder-core"]),
    ("poolder-worker", &["poolder-core", "poolder-client", "poolder-devserver"]),
    (".", &["poolder-core", "poolder-client", "poolder-worker", "poolder-macros"]),
    ("poolder-web", &["poolder-cron", "poolder-core", "poolder-client"]),
    ("poolder-cli", &["poolder-cron", "poolder-core", "poolder-client", "poolder-web"]),
    ("poolder-devserver", &[]),
    ("xtask", &["poolder-devserver"]),
    ("model", &["poolder-core"]),
];

/// The published packages, in which only the broker speaks Redis.
const PUBLISHED: &[&str] = &[
    "src",
    "poolder-cron/src",
    "poolder-core/src",
    "poolder-client/src",
    "poolder-worker/src",
    "poolder-macros/src",
    "poolder-web/src",
    "poolder-cli/src",
];

const LONGEST: usize = 400;

/// Parts of keys that only the key schema may contain.
const KEY_PARTS: &[&str] =
    &[":ready:", ":due\"", ":bodies\"", ":lease\"", ":leader\"", ":stats\"", ":meta\"", "{roster}"];

/// Commands that read without a bound.
const UNBOUNDED: &[&str] =
    &["'KEYS'", "'HGETALL'", "'HVALS'", "'SMEMBERS'", "'LRANGE', KEYS[1], 0, -1", "0, -1"];

#[test]
fn edges_between_packages_point_one_way() {
    let mut wrong = vec![];
    for (package, allowed) in EDGES {
        let manifest = read(&root().join(package).join("Cargo.toml"));
        for dependency in dependencies(&manifest) {
            if dependency.starts_with("poolder") && !allowed.contains(&dependency.as_str()) {
                wrong.push(format!("{package} must not depend on {dependency}"));
            }
        }
    }
    none(&wrong);
}

#[test]
fn no_file_is_too_long_to_read_in_one_go() {
    let mut wrong = vec![];
    for file in sources(&root()) {
        let is_test = file.iter().any(|part| part == "tests") || file.ends_with("tests.rs");
        let text = read(&file);
        let lines = text.lines().count();
        if !is_test && lines > LONGEST {
            wrong.push(format!("{} has {lines} lines, the most is {LONGEST}", show(&file)));
        }
    }
    none(&wrong);
}

#[test]
fn redis_is_spoken_in_the_broker_only() {
    let mut wrong = vec![];
    for folder in PUBLISHED {
        for file in sources(&root().join(folder)) {
            let shown = show(&file);
            let broker = shown.starts_with("poolder-core/src/broker");
            for (number, line) in code_lines(&file) {
                if !broker && (line.contains("redis::") || line.contains("deadpool")) {
                    wrong.push(format!("{shown}:{number} speaks Redis: {}", line.trim()));
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_facade_does_not_expose_the_broker() {
    let facade = read(&root().join("src/lib.rs"));
    let names =
        |name: &&str| facade.split(|c: char| !c.is_alphanumeric()).any(|word| word == *name);
    let exposed = ["Broker", "Settlement", "Claim", "NodeName"].into_iter().filter(names);
    none(&exposed.map(|name| format!("src/lib.rs exports {name}")).collect::<Vec<_>>());
    let client = read(&root().join("poolder-client/src/client.rs"));
    let (before, _) = client.split_once("pub fn broker(").expect("Client::broker");
    let attributes = before.rsplit("\n\n").next().unwrap_or_default();
    assert!(attributes.contains("#[doc(hidden)]"), "Client::broker is not part of the interface");
}

/// The file that builds all keys, and the table with which a test compares them.
const KEY_FILES: &[&str] = &["poolder-core/src/broker/keys.rs", "poolder-core/src/stored/table.rs"];

#[test]
fn keys_are_spelled_in_one_file() {
    let mut wrong = vec![];
    for folder in PUBLISHED {
        for file in sources(&root().join(folder)) {
            let shown = show(&file);
            for (number, line) in code_lines(&file) {
                let spelled = KEY_PARTS.iter().any(|part| line.contains(part));
                if spelled && !KEY_FILES.contains(&shown.as_str()) {
                    wrong.push(format!("{shown}:{number} spells a key: {}", line.trim()));
                }
            }
        }
    }
    none(&wrong);
}

/// Commands that a server refuses outside of a script while it is out of memory.
const REFUSED_WHEN_FULL: &[&str] = &[
    "HINCRBY", "HSET", "HSETNX", "INCR", "LPUSH", "LSET", "MULTI", "RPUSH", "SADD", "SET", "XADD",
    "XGROUP", "ZADD",
];

#[test]
fn a_command_that_a_full_server_refuses_is_in_a_script() {
    let mut wrong = vec![];
    for file in sources(&root().join("poolder-core/src/broker")) {
        for (number, line) in code_lines(&file) {
            let refused = |name: &&str| line.contains(&format!("cmd(\"{name}\")"));
            // A full server refuses even reads in a transaction.
            if REFUSED_WHEN_FULL.iter().any(refused) || line.contains(".atomic()") {
                let shown = show(&file);
                wrong.push(format!("{shown}:{number}, use `scripts::write`: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

/// The only files that read the host's clock. All others ask the server, so that two nodes whose
/// clocks are minutes apart agree on which jobs are due.
const CLOCKS: &[(&str, &str)] = &[
    ("poolder-core/src/job/time.rs", "defines it"),
    ("poolder-worker/src/process/liveness.rs", "measures how far the server's clock is from it"),
    (
        "poolder-client/src/enqueue/cast.rs",
        "`Mode::Monotonic` picks a slot by the producer's clock",
    ),
    ("poolder-core/src/broker/admin/server_facts.rs", "tells how far it is from the server's"),
    ("poolder-cli/src/schedule/look.rs", "previews an expression without a server"),
    ("poolder-worker/src/testing/queue.rs", "the clock of a test's queue begins at it"),
];

#[test]
fn only_these_files_read_the_clock_of_the_host() {
    let mut wrong = vec![];
    for folder in PUBLISHED {
        for file in sources(&root().join(folder)) {
            let shown = show(&file);
            if CLOCKS.iter().any(|(allowed, _)| *allowed == shown) {
                continue;
            }
            for (number, line) in code_lines(&file) {
                let reads = ["SystemTime::now", "Timestamp::now", "Utc::now", "Local::now"];
                if reads.iter().any(|clock| line.contains(clock)) {
                    wrong
                        .push(format!("{shown}:{number} reads this host's clock: {}", line.trim()));
                }
            }
        }
    }
    none(&wrong);
}

#[test]
fn the_pure_half_of_the_core_knows_no_runtime() {
    let core = root().join("poolder-core/src");
    let mut wrong = vec![];
    for file in sources(&core) {
        let shown = show(&file);
        let impure = ["/broker", "/lib.rs"];
        if impure.iter().any(|name| shown.starts_with(&format!("poolder-core/src{name}"))) {
            continue;
        }
        for (number, line) in code_lines(&file) {
            if line.contains("tokio::") {
                wrong.push(format!("{shown}:{number} is no longer pure: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

#[test]
fn every_script_says_what_it_takes_and_is_bounded() {
    let mut wrong = vec![];
    for file in files(&root().join("poolder-core/src/broker/scripts"), "lua") {
        let (shown, text) = (show(&file), read(&file));
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let header: Vec<&str> = text.lines().take_while(|line| line.starts_with("--")).collect();
        if !header.first().is_some_and(|line| line.starts_with(&format!("-- {name}: "))) {
            wrong.push(format!("{shown} does not begin with its name and purpose"));
        }
        // A part of `settle.lua` takes no arguments: it describes its operations. Parts of others
        // take those of the scripts that they end.
        let first = header.first().copied().unwrap_or_default();
        let settles = ["settle.lua", "jobs/settle.lua"];
        let parts: &[&str] =
            if settles.iter().any(|of| first.contains(&format!(": a part of {of}"))) {
                &["-- KEYS ", "-- Operations"]
            } else if first.contains(": a part of ") {
                &["-- KEYS ", "-- Returns "]
            } else {
                &["-- KEYS ", "-- ARGV ", "-- Returns "]
            };
        for part in parts {
            if !header.iter().any(|line| line.starts_with(part)) {
                wrong.push(format!("{shown} has no line {part:?}"));
            }
        }
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("--").next().unwrap_or_default();
            let said_bounded = line.contains("-- bounded");
            let reads_all = UNBOUNDED.iter().any(|word| code.contains(word));
            let unlimited = code.contains("'ZRANGEBYSCORE'") && !limited(&text, number);
            let unpacks = code.contains("unpack(");
            if (reads_all || unlimited || unpacks) && !said_bounded {
                wrong.push(format!("{shown}:{number} has no bound: {}", line.trim()));
            }
        }
    }
    none(&wrong);
}

/// Returns true when the command that begins on this line has a `LIMIT` there or on the next.
fn limited(text: &str, number: usize) -> bool {
    text.lines().skip(number - 1).take(2).any(|line| line.contains("'LIMIT'"))
}

/// Returns the names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    let lines =
        manifest.lines().map(str::trim).skip_while(|line| *line != "[dependencies]").skip(1);
    lines
        .take_while(|line| !line.starts_with('['))
        .filter_map(|line| line.split(['.', '=', ' ']).next())
        .filter(|name| !name.is_empty() && !name.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

/// Returns the lines of a file that are neither comments nor part of its tests, with their numbers.
fn code_lines(file: &Path) -> Vec<(usize, String)> {
    let text = read(file);
    (1..)
        .zip(text.lines())
        .take_while(|(_, line)| *line != "#[cfg(test)]")
        .filter(|(_, line)| !line.trim_start().starts_with("//"))
        .map(|(number, line)| (number, line.to_owned()))
        .collect()
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    files(folder, "rs")
}

/// Returns all files with this ending below a folder, except those that cargo or npm made.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = vec![];
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && name != "target" && name != "node_modules" {
            found.extend(files(&path, ending));
        } else if path.extension().is_some_and(|extension| extension == ending) {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn show(file: &Path) -> String {
    file.strip_prefix(root()).unwrap_or(file).display().to_string()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

fn none(wrong: &[String]) {
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}
