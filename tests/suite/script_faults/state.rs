//! All keys of a server: where each job is, what belongs to nothing, and the differences between
//! two states.

use std::collections::{BTreeMap, BTreeSet};

use redis::cmd;

use super::Lab;
use crate::harness::RawEntry;

type Bytes = Vec<u8>;

/// The contents of a key.
#[derive(Debug, Clone)]
enum Contents {
    Stream(Stream),
    Hash(BTreeMap<Bytes, Bytes>),
    Sorted(BTreeMap<Bytes, f64>),
    Set(BTreeSet<Bytes>),
    List(Vec<Bytes>),
    /// A string, and whether it is kept for a limited time.
    Text(Bytes, bool),
}

/// A lane.
#[derive(Debug, Clone, Default)]
struct Stream {
    /// Entries in order: id, all text, and the consumer that has claimed it.
    entries: Vec<(String, Vec<Bytes>, Option<String>)>,
    /// Ids that are claimed, and are not in the stream.
    claims_without_entry: Vec<String>,
    /// The last id that the group has delivered.
    delivered: String,
    consumers: BTreeSet<String>,
}

/// Every key, by its name behind the namespace.
#[derive(Debug, Clone)]
pub(super) struct State(BTreeMap<String, Contents>);

impl Lab {
    pub(super) fn state(&mut self) -> State {
        let keys: Vec<String> = self.ask(cmd("KEYS").arg("*"));
        let mut all = BTreeMap::new();
        for key in keys {
            let kind: String = self.ask(cmd("TYPE").arg(&key));
            let contents = match kind.as_str() {
                "stream" => Contents::Stream(self.stream(&key)),
                "hash" => Contents::Hash(self.ask(cmd("HGETALL").arg(&key))),
                "zset" => {
                    let members: Vec<(Bytes, f64)> =
                        self.ask(cmd("ZRANGE").arg(&key).arg(0).arg(-1).arg("WITHSCORES"));
                    Contents::Sorted(members.into_iter().collect())
                }
                "set" => Contents::Set(self.ask(cmd("SMEMBERS").arg(&key))),
                "list" => Contents::List(self.ask(cmd("LRANGE").arg(&key).arg(0).arg(-1))),
                _ => {
                    let left: i64 = self.ask(cmd("PTTL").arg(&key));
                    Contents::Text(self.ask(cmd("GET").arg(&key)), left > 0)
                }
            };
            let name = key.split_once(':').unwrap().1.to_owned();
            all.insert(name, contents);
        }
        State(all)
    }

    fn stream(&mut self, key: &str) -> Stream {
        let entries: Vec<RawEntry> = self.ask(cmd("XRANGE").arg(key).arg("-").arg("+"));
        let groups: Vec<BTreeMap<String, redis::Value>> =
            self.ask(cmd("XINFO").arg("GROUPS").arg(key));
        let Some(group) = groups.into_iter().next() else {
            let entry = |(id, fields)| (id, words(fields), None);
            return Stream {
                entries: entries.into_iter().map(entry).collect(),
                ..Stream::default()
            };
        };
        let mut ask = cmd("XPENDING");
        ask.arg(key).arg("workers").arg("-").arg("+").arg(1000);
        let pending: Vec<(String, String, u64, u64)> = self.ask(&ask);
        let mut owners: BTreeMap<String, String> =
            pending.into_iter().map(|(id, owner, ..)| (id, owner)).collect();
        let entry = |(id, fields): RawEntry| {
            let owner = owners.remove(&id);
            (id, words(fields), owner)
        };
        let entries = entries.into_iter().map(entry).collect();
        let consumers: Vec<BTreeMap<String, redis::Value>> =
            self.ask(cmd("XINFO").arg("CONSUMERS").arg(key).arg("workers"));
        let name = |mut it: BTreeMap<String, redis::Value>| {
            redis::from_redis_value(it.remove("name").unwrap()).unwrap()
        };
        let delivered = redis::from_redis_value(group["last-delivered-id"].clone()).unwrap();
        let consumers = consumers.into_iter().map(name).collect();
        Stream { entries, claims_without_entry: owners.into_keys().collect(), delivered, consumers }
    }
}

/// Returns where the envelope of a waiting job of a limited queue begins.
fn envelope_in(value: &[u8]) -> usize {
    if value[0] == 32 { 3 + usize::from(value[1]) * 256 + usize::from(value[2]) } else { 0 }
}

/// Returns the fields of a hash of a limited queue without tickets and times, which differ after a
/// call that was repeated.
fn without_tickets(fields: &BTreeMap<Bytes, Bytes>, name: &str) -> Contents {
    let mut fields = fields.clone();
    match name {
        "" => fields
            .retain(|name, _| ![&b"seq"[..], b"full_at", b"held", b"again"].contains(&&name[..])),
        ":groups" => {
            let records = fields.values_mut().filter(|it| [26, 39].contains(&it.len()));
            records.for_each(|it| {
                it[18..24].fill(0);
                it.truncate(26);
            });
        }
        _ => {}
    }
    Contents::Hash(fields)
}

fn words(fields: Vec<(String, Bytes)>) -> Vec<Bytes> {
    fields.into_iter().flat_map(|(name, value)| [name.into_bytes(), value]).collect()
}

/// Returns the id inside of an envelope that begins at `from`.
fn id_in(raw: &[u8], from: usize) -> Option<Bytes> {
    raw.get(from + 2..from + 18).map(<[u8]>::to_vec)
}

fn order(id: &str) -> (u64, u64) {
    let (ms, sequence) = id.split_once('-').unwrap_or((id, "0"));
    (ms.parse().unwrap_or_default(), sequence.parse().unwrap_or_default())
}

impl State {
    fn hash(&self, key: &str) -> BTreeMap<Bytes, Bytes> {
        match self.0.get(key) {
            Some(Contents::Hash(fields)) => fields.clone(),
            _ => BTreeMap::new(),
        }
    }

    fn sorted(&self, key: &str) -> BTreeMap<Bytes, f64> {
        match self.0.get(key) {
            Some(Contents::Sorted(members)) => members.clone(),
            _ => BTreeMap::new(),
        }
    }

    pub(super) fn is_set(&self, key: &str) -> bool {
        matches!(self.0.get(key), Some(Contents::Set(_)))
    }

    fn streams(&self) -> impl Iterator<Item = (&String, &Stream)> {
        self.0.iter().filter_map(|(key, contents)| match contents {
            Contents::Stream(stream) => Some((key, stream)),
            _ => None,
        })
    }

    /// Returns the claims whose entries are missing: their streams and ids.
    pub(super) fn claims_without_entry(&self) -> Vec<(String, String)> {
        let one = |(key, stream): (&String, &Stream)| {
            let ids = stream.claims_without_entry.iter();
            ids.map(|id| (key.clone(), id.clone())).collect::<Vec<_>>()
        };
        self.streams().flat_map(one).collect()
    }

    /// Returns the ids of the jobs, the entries of lists, and the names of schedules, each with the
    /// number of its places.
    fn places(&self) -> BTreeMap<Bytes, usize> {
        let mut all: Vec<Bytes> = vec![];
        for (_, stream) in self.streams() {
            for (_, words, _) in &stream.entries {
                all.extend(words.get(1).and_then(|raw| id_in(raw, 0)));
            }
        }
        let due = self.sorted("{q.0}:due");
        for (id, body) in self.hash("{q.0}:bodies") {
            let head = 3 + usize::from(body[1]) * 256 + usize::from(body[2]);
            all.extend(due.get(&id).and_then(|_| id_in(&body, head)));
        }
        let dead = self.sorted("{q.0}:dead");
        for (id, record) in self.hash("{q.0}:dead:bodies") {
            // An entry that is not a job has no id inside.
            let length = |at: usize| usize::from(record[at]) * 256 + usize::from(record[at + 1]);
            let head = 2 + length(0);
            let envelope = head + 3 + length(head + 1);
            let is_job = record.get(envelope) == Some(&1);
            let inside = id_in(&record, envelope).filter(|_| is_job);
            all.extend(dead.get(&id).map(|_| inside.unwrap_or(id)));
        }
        for (key, contents) in &self.0 {
            match contents {
                // Turns and tokens are no entries of a batch.
                Contents::List(_) if key.contains(":limits:") => {}
                Contents::List(entries) => all.extend(entries.iter().cloned()),
                Contents::Hash(fields) if key.ends_with(":limits:jobs") => {
                    let waiting = fields.iter().filter(|(field, _)| field.len() >= 5);
                    all.extend(waiting.filter_map(|(_, value)| id_in(value, envelope_in(value))));
                }
                Contents::Hash(fields) if key.ends_with("schedules:queued") => {
                    all.extend(fields.values().filter_map(|body| id_in(body, 1)));
                }
                Contents::Hash(fields) if key.ends_with("schedules") => {
                    all.extend(fields.keys().cloned());
                }
                _ => {}
            }
        }
        let mut places = BTreeMap::new();
        for id in all {
            *places.entry(id).or_default() += 1;
        }
        places
    }

    /// Returns the jobs that should have been kept since `before` and are in no place, those that
    /// are in more places than before the call and after an undisturbed one, and those in places
    /// where no node finds them.
    pub(super) fn misplaced_in(&self, before: &Self, clean: &Self) -> Vec<String> {
        let known = before.unreachable();
        let unreachable = self.unreachable().into_iter().filter(|entry| !known.contains(entry));
        let (before, now, clean) = (before.places(), self.places(), clean.places());
        let count =
            |places: &BTreeMap<Bytes, usize>, id: &Bytes| places.get(id).copied().unwrap_or(0);
        let lost = before.keys().filter(|id| count(&clean, id) > 0 && count(&now, id) == 0);
        let lost = lost.map(|id| format!("{} is in no place", shown(id)));
        let most = |id: &Bytes| count(&before, id).max(count(&clean, id));
        let twice = now.iter().filter(|(id, places)| **places > most(id).max(1));
        lost.chain(twice.map(|(id, places)| format!("{} is in {places} places", shown(id))))
            .chain(unreachable)
            .collect()
    }

    /// Returns the entries that are not claimed, and that the group will not deliver.
    fn unreachable(&self) -> Vec<String> {
        let mut found = vec![];
        for (key, stream) in self.streams() {
            for (id, _, owner) in &stream.entries {
                if owner.is_none() && order(id) <= order(&stream.delivered) {
                    found.push(format!("{key}: {id} is neither claimed nor will be delivered"));
                }
            }
        }
        found
    }

    /// Returns everything that belongs to nothing.
    pub(super) fn orphans(&self) -> Vec<String> {
        let mut orphans = vec![];
        for (index, bodies) in [("{q.0}:due", "{q.0}:bodies"), ("{q.0}:dead", "{q.0}:dead:bodies")]
        {
            let is_job = |id: &Bytes| id.len() <= 16;
            let times: BTreeSet<_> = self.sorted(index).into_keys().filter(is_job).collect();
            let bodies: BTreeSet<_> = self.hash(bodies).into_keys().collect();
            for id in times.symmetric_difference(&bodies) {
                orphans.push(format!("{index}: {} has only a time, or only a body", shown(id)));
            }
        }
        for (key, stream) in self.streams() {
            for id in &stream.claims_without_entry {
                orphans.push(format!("{key}: claim of {id} without an entry"));
            }
        }
        orphans.extend(self.unreachable());
        let index = self.hash("{q.0}:batch:index");
        for key in self.0.keys().filter(|key| key.contains(":batch:sealed:")) {
            if !index.keys().any(|id| listed(key, id)) {
                orphans.push(format!("{key} is not in the index"));
            }
        }
        for id in index.keys() {
            if !self.0.keys().any(|key| listed(key, id)) {
                orphans.push(format!("{} is in the index and has no list", shown(id)));
            }
        }
        orphans
    }

    /// Returns the keys whose contents differ, apart from times and ids that the server has chosen,
    /// and from the keys behind the hash tag that begin with one of the texts in `but`.
    pub(super) fn differences(&self, clean: &Self, but: &[&str]) -> Vec<String> {
        let (ours, clean) = (self.shown(), clean.shown());
        let keys: BTreeSet<_> = ours.keys().chain(clean.keys()).collect();
        let tolerated = |key: &str| {
            let name = key.split_once("}:").map_or(key, |(_, name)| name);
            but.iter().any(|text| name.starts_with(text))
        };
        let differs = |key: &&String| !tolerated(key) && ours.get(*key) != clean.get(*key);
        let differing = keys.into_iter().filter(differs);
        differing
            .map(|key| format!("{key}: {:?}, not {:?}", ours.get(key), clean.get(key)))
            .collect()
    }

    /// Returns the groups that stand in a list of turns; an entry with another ticket than that of
    /// the record is void.
    fn turns(&self, entries: &[Bytes]) -> Vec<String> {
        let records = self.hash("{q.0}:limits:groups");
        let holds = |entry: &&Bytes| {
            let record = records.get(&entry[6..]);
            record.is_some_and(|record| record[24] == 1 && record[18..24] == entry[..6])
        };
        entries.iter().filter(holds).map(|entry| shown(&entry[6..])).collect()
    }

    fn shown(&self) -> BTreeMap<String, Vec<String>> {
        let one = |(key, contents): (&String, &Contents)| {
            let of_limits = key.rsplit_once(":limits").map(|(_, name)| name);
            let contents = match (contents, of_limits) {
                (Contents::List(turns), Some(":turns")) => self.turns(turns),
                (Contents::Hash(fields), Some(name)) => without_tickets(fields, name).shown(),
                _ => contents.shown(),
            };
            (shown(key.as_bytes()), contents)
        };
        // A stream without entries and consumers is like none.
        self.0.iter().map(one).filter(|(_, contents)| !contents.is_empty()).collect()
    }
}

impl Contents {
    fn shown(&self) -> Vec<String> {
        let pair = |(a, b): (&Bytes, &Bytes)| match (a.len(), b.len()) {
            // The record of a unique key: its job, its mode and its place, without times.
            (12, 40) => format!("{}={} {:?}", shown(a), shown(&b[..16]), &b[28..30]),
            // And the job that waits behind, with its mode and the offset of its id.
            (12, 80) => format!(
                "{}={} {:?}, {} {:?}",
                shown(a),
                shown(&b[..16]),
                &b[28..30],
                shown(&b[40..56]),
                &b[68..70]
            ),
            _ => format!("{}={}", shown(a), shown(b)),
        };
        match self {
            Self::Stream(stream) => {
                let mut all: Vec<_> = stream
                    .entries
                    .iter()
                    .map(|(id, words, owner)| {
                        let words: Vec<_> = words.iter().map(|word| shown(word)).collect();
                        let reachable = order(id) > order(&stream.delivered);
                        format!("{words:?} {owner:?} {reachable}")
                    })
                    .collect();
                all.extend(stream.claims_without_entry.iter().map(|_| "claim only".into()));
                all.extend(stream.consumers.iter().map(|name| format!("consumer {name}")));
                all
            }
            Self::Hash(fields) => fields.iter().map(pair).collect(),
            Self::Sorted(members) => {
                let one = |(member, score): (&Bytes, &f64)| {
                    format!("{}={}", shown(member), shown(format!("{score:.0}").as_bytes()))
                };
                members.iter().map(one).collect()
            }
            Self::Set(members) => members.iter().map(|one| shown(one)).collect(),
            Self::List(entries) => entries.iter().map(|one| shown(one)).collect(),
            Self::Text(text, limited) => vec![format!("{} {limited}", shown(text))],
        }
    }
}

/// Returns true when `key` is the sealed list of a batch job.
fn listed(key: &str, id: &[u8]) -> bool {
    let hex: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    key.split_once(":batch:sealed:").is_some_and(|(_, job)| job.replace('-', "") == hex)
}

/// Returns bytes as text, with each time in ms and each id of an entry as `#`.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        if digits == 13 {
            at += digits;
            let sequence = bytes[at..].iter().skip(1).take_while(|byte| byte.is_ascii_digit());
            if bytes.get(at) == Some(&b'-') {
                at += 1 + sequence.count();
            }
            text.push('#');
        } else if digits > 0 {
            text.push_str(std::str::from_utf8(&rest[..digits]).unwrap());
            at += digits;
        } else if matches!(rest[0], 0xcf | 0xd3) && rest.get(1..4) == Some(&[0, 0, 1]) {
            // A time in ms in MessagePack.
            at = (at + 9).min(bytes.len());
            text.push('#');
        } else {
            text.extend(std::ascii::escape_default(rest[0]).map(char::from));
            at += 1;
        }
    }
    text
}
