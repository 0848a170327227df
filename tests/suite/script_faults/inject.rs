//! Runs one recorded call of a script with an error at each of its commands, and with a value of a
//! wrong type at each of its keys.

use std::collections::{BTreeMap, BTreeSet};

use poolder_core::broker::script_texts;
use redis::{Cmd, Connection, Value, cmd};

use super::state::State;
use super::{Lab, REFUSED_WHEN_FULL};

/// Stands before the text of a script, which it runs as a function. Command number `%` fails.
const BEFORE: &str = "\
local real, commands, reached = redis, 0, false
local function command(raises, run)
  return function(name, ...)
    commands = commands + 1
    if commands ~= % then return run(name, ...) end
    reached = true
    if raises then error('ERR injected at ' .. name) end
    return {err = 'ERR injected at ' .. name}
  end
end
local redis = setmetatable({call = command(true, real.call), pcall = command(false, real.pcall)},
  {__index = real})
local function script()
";
const AFTER: &str = "\nend
local reply = script()
if type(reply) == 'table' and reply.err then return reply end
return reached and 1 or 0";

/// The state before a call of the broker, and a record of all commands since.
pub(super) struct Fault {
    before: State,
    saved: Vec<(Vec<u8>, i64, Vec<u8>)>,
    monitor: Connection,
}

/// Keys that may differ at the end, by the beginnings of their names behind the hash tag. A case
/// that names some says why.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tolerated<'a> {
    /// After an error that the script survives; counters may differ in any case.
    pub(super) survived: &'a [&'a str],
    /// After a call that failed and was repeated.
    pub(super) repeated: &'a [&'a str],
    /// Keys that the script does not touch when they exist, whatever their type.
    pub(super) taken: &'a [&'a str],
    /// True when the call does several things, each of which is whole alone: an error leaves those
    /// before it.
    pub(super) steps: bool,
}

pub(super) const NOTHING: Tolerated<'_> =
    Tolerated { survived: &[], repeated: &[], taken: &[], steps: false };

/// Hashes of counters. A script that has moved a job does not fail because of them.
const COUNTERS: [&str; 2] = ["stats", "batch:about:"];

impl Lab {
    /// Saves the state, and records the calls from here on.
    pub(super) fn snapshot(&mut self) -> Fault {
        let keys: Vec<Vec<u8>> = self.ask(cmd("KEYS").arg("*"));
        let save = |key: Vec<u8>| {
            let left: i64 = self.ask(cmd("PTTL").arg(&key));
            let dump: Vec<u8> = self.ask(cmd("DUMP").arg(&key));
            (key, left.max(0), dump)
        };
        let saved = keys.into_iter().map(save).collect();
        let client = redis::Client::open(self.space.url()).unwrap();
        let mut monitor = client.get_connection().unwrap();
        cmd("MONITOR").exec(&mut monitor).unwrap();
        Fault { before: self.state(), saved, monitor }
    }

    fn restore(&mut self, fault: &Fault) {
        self.reset();
        for (key, left, dump) in &fault.saved {
            self.ask::<()>(cmd("RESTORE").arg(key).arg(left).arg(dump));
        }
    }

    /// Repeats the last call of `script` since the snapshot, with an error at each command.
    pub(super) fn inject(&mut self, script: &'static str, case: &str, fault: Fault) {
        self.inject_but(script, case, fault, NOTHING);
    }

    pub(super) fn inject_but(
        &mut self,
        script: &'static str,
        case: &str,
        mut fault: Fault,
        but: Tolerated<'_>,
    ) {
        self.covered.insert(script);
        let text = script_texts().iter().find(|(name, _)| *name == script).unwrap().1;
        let call = self.last_call(redis::Script::new(text).get_hash(), &mut fault);
        assert!(!call.is_empty(), "{script}, {case}: the broker has not called it");
        self.restore(&fault);
        self.run(text, &call).unwrap();
        let clean = self.state();
        let mut wrong: Vec<_> =
            clean.orphans().iter().map(|orphan| format!("without an error: {orphan}")).collect();
        self.restore(&fault);
        wrong.extend(self.wrong_when_full(script, case, text, &call, &clean));
        for at in 1..500 {
            self.restore(&fault);
            let faulty = format!("{}{text}{AFTER}", BEFORE.replace('%', &at.to_string()));
            let reply = self.run(&faulty, &call);
            let end = match &reply {
                Ok(Value::Int(0)) => break,
                Ok(_) => format!("{at} survived"),
                Err(error) => {
                    let text = error.to_string();
                    let name = text.split_once("injected at ").map_or(&*text, |(_, name)| name);
                    format!("{at} {}", name.split_whitespace().next().unwrap())
                }
            };
            for job in self.state().misplaced_in(&fault.before, &clean) {
                wrong.push(format!("{end}: {job}"));
            }
            let but = match reply {
                Ok(_) => [&COUNTERS, but.survived].concat(),
                Err(_) => {
                    if let Err(error) = self.run(text, &call) {
                        wrong.push(format!("{end}: the repetition fails: {error}"));
                    }
                    but.repeated.to_vec()
                }
            };
            self.acknowledge_missing();
            for difference in self.state().differences(&clean, &but) {
                wrong.push(format!("{end}: {difference}"));
            }
        }
        let keys: usize = str::from_utf8(&call[0]).unwrap().parse().unwrap();
        for key in call[1..=keys].iter().collect::<BTreeSet<_>>() {
            let own = str::from_utf8(key).unwrap().split_once("}:").unwrap().1;
            if !but.taken.iter().any(|taken| own.starts_with(taken)) {
                let found = self.mistype(text, &call, key, (&fault, &clean), but);
                wrong.extend(found.into_iter().map(|text| format!("{own} mistyped, {text}")));
            }
        }
        self.wrong.extend(wrong.into_iter().map(|text| format!("{script}, {case}: {text}")));
    }

    /// Runs the call on a server that is out of memory. It must do there what it does on any other,
    /// unless it adds the data of a producer: then it must be refused, and change nothing.
    fn wrong_when_full(
        &mut self,
        script: &str,
        case: &str,
        text: &str,
        call: &[Vec<u8>],
        clean: &State,
    ) -> Vec<String> {
        let before = self.state();
        let entry = REFUSED_WHEN_FULL.iter().find(|(name, _)| *name == script);
        let must_be_refused = entry.is_some_and(|(_, but)| !but.contains(&case));
        self.ask::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(1));
        let reply = self.run(text, call);
        self.ask::<()>(cmd("CONFIG").arg("SET").arg("maxmemory").arg(0));
        let expected = if must_be_refused { &before } else { clean };
        let mut wrong = self.state().differences(expected, &[]);
        match reply {
            Err(error) if !must_be_refused => wrong.push(format!("fails: {error}")),
            Err(error) if !error.to_string().contains("OOM") => wrong.push(format!("{error}")),
            Ok(_) if must_be_refused => wrong.push("is not refused".into()),
            _ => {}
        }
        wrong.into_iter().map(|text| format!("on a full server: {text}")).collect()
    }

    /// Repeats a call with a value of a wrong type at a key. Unless the call has replaced it, the
    /// key gets its former value again. A call that failed is repeated. Returns everything that is
    /// wrong.
    fn mistype(
        &mut self,
        text: &str,
        call: &[Vec<u8>],
        key: &[u8],
        (fault, clean): (&Fault, &State),
        but: Tolerated<'_>,
    ) -> Vec<String> {
        let name = str::from_utf8(key).unwrap().split_once(':').unwrap().1;
        let own = name.split_once("}:").unwrap().1;
        self.restore(fault);
        self.ask::<()>(cmd("DEL").arg(key));
        let is_set = fault.before.is_set(name) || clean.is_set(name);
        self.ask::<()>(cmd(if is_set { "SET" } else { "SADD" }).arg(key).arg("wrong"));
        let mistyped: Vec<u8> = self.ask(cmd("DUMP").arg(key));
        let reply = self.run(text, call);
        let untouched = self.ask::<Option<Vec<u8>>>(cmd("DUMP").arg(key)) == Some(mistyped);
        if untouched {
            self.ask::<()>(cmd("DEL").arg(key));
            if let Some((_, left, dump)) = fault.saved.iter().find(|(saved, ..)| saved == key) {
                self.ask::<()>(cmd("RESTORE").arg(key).arg(left).arg(dump));
            }
        }
        let mut wrong = self.state().misplaced_in(&fault.before, clean);
        let end = if reply.is_ok() { "survived" } else { "failed" };
        let but = match reply {
            Ok(_) if untouched => [&COUNTERS, but.survived, &[own]].concat(),
            Ok(_) => [&COUNTERS, but.survived].concat(),
            Err(_) => {
                if !but.steps {
                    let changes = self.state().differences(&fault.before, &[]);
                    wrong.extend(changes.into_iter().map(|change| format!("half done: {change}")));
                }
                if let Err(error) = self.run(text, call) {
                    wrong.push(format!("the repetition fails: {error}"));
                }
                but.repeated.to_vec()
            }
        };
        self.acknowledge_missing();
        wrong.extend(self.state().differences(clean, &but));
        wrong.into_iter().map(|text| format!("{end}: {text}")).collect()
    }

    /// Acknowledges claims without an entry, as every node does when it finds them.
    fn acknowledge_missing(&mut self) {
        for (key, id) in self.state().claims_without_entry() {
            let key = format!("{}:{key}", self.space.name());
            self.ask::<()>(cmd("XACK").arg(key).arg("workers").arg(id));
        }
    }

    fn run(&mut self, text: &str, call: &[Vec<u8>]) -> redis::RedisResult<Value> {
        let mut eval = Cmd::new();
        eval.arg("EVAL").arg(text).arg(call);
        eval.query(&mut self.redis)
    }

    /// Returns the arguments behind the hash of the last call of a script.
    fn last_call(&mut self, hash: &str, fault: &mut Fault) -> Vec<Vec<u8>> {
        self.ask::<()>(cmd("PUBLISH").arg("end of the record").arg(""));
        let mut last = vec![];
        loop {
            let line: String =
                redis::from_redis_value(fault.monitor.recv_response().unwrap()).unwrap();
            if line.contains("end of the record") {
                return last;
            }
            let mut words = words(&line).into_iter();
            let name = words.next().unwrap_or_default();
            if name.eq_ignore_ascii_case(b"evalsha")
                && words.next().as_deref() == Some(hash.as_bytes())
            {
                last = words.collect();
            }
        }
    }
}

/// Returns the words of a line of `MONITOR`, which are in quotes.
fn words(line: &str) -> Vec<Vec<u8>> {
    let escapes =
        BTreeMap::from([(b'n', b'\n'), (b'r', b'\r'), (b't', b'\t'), (b'a', 7), (b'b', 8)]);
    let mut words = vec![];
    let mut bytes = line.bytes().skip_while(|byte| *byte != b'"');
    while bytes.next().is_some() {
        let mut word = vec![];
        while let Some(byte) = bytes.next().filter(|byte| *byte != b'"') {
            if byte != b'\\' {
                word.push(byte);
                continue;
            }
            match bytes.next().unwrap() {
                b'x' => {
                    let digits = [bytes.next().unwrap(), bytes.next().unwrap()];
                    let digits = std::str::from_utf8(&digits).unwrap();
                    word.push(u8::from_str_radix(digits, 16).unwrap());
                }
                other => word.push(*escapes.get(&other).unwrap_or(&other)),
            }
        }
        words.push(word);
        bytes.next();
    }
    words
}
