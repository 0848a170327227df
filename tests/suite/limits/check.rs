//! All that Redis holds about a limited queue, and its comparison with the model.

use std::collections::{BTreeMap, BTreeSet};

use poolder::{JobId, Lane};

use super::machine::{At, Walk, Wrong, must};
use crate::harness::RawEntry;

/// An entry of a lane.
pub(super) struct LaneEntry {
    id: String,
    pub(super) job: JobId,
    pub(super) group: Option<String>,
}

/// The record of a group.
#[derive(Debug, Clone, Copy)]
pub(super) struct Record {
    /// The number of jobs of its numbers: those that wait, and those that were removed.
    numbers: u64,
    waiting: u64,
    running: u64,
    ticket: u64,
    pub(super) state: u8,
    /// When its bucket is full again, in µs.
    pub(super) full_at: u64,
}

impl Record {
    pub(super) fn read(bytes: &[u8]) -> Self {
        assert!([26, 39].contains(&bytes.len()), "a record has 26 or 39 bytes");
        let number = |range: std::ops::Range<usize>| {
            bytes[range].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte))
        };
        let (waiting, running, ticket) = (number(10..14), number(14..18), number(18..24));
        let numbers = number(5..10) - number(0..5);
        let full_at = if bytes.len() > 26 { number(26..33) } else { 0 };
        Self { numbers, waiting, running, ticket, state: bytes[24], full_at }
    }
}

/// The contents of Redis.
pub(super) struct Snapshot {
    places: BTreeMap<JobId, Vec<At>>,
    admitted: BTreeMap<String, u64>,
    waiting: BTreeMap<String, u64>,
    pub(super) groups: BTreeMap<String, Record>,
    /// The groups whose entry in the list of turns holds.
    pub(super) turns: Vec<String>,
    timers: BTreeSet<String>,
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn id_in(envelope: &[u8]) -> JobId {
    JobId::from_bytes(envelope[2..18].try_into().unwrap())
}

impl Walk<'_> {
    /// Returns the entries of a lane.
    pub(super) async fn entries(&mut self, lane: Lane) -> Vec<LaneEntry> {
        let stream = self.key(&format!("ready:{lane}"));
        let mut ask = redis::cmd("XRANGE");
        ask.arg(&stream).arg("-").arg("+");
        let entries: Vec<RawEntry> = ask.query_async(&mut self.raw).await.unwrap();
        let read = |(entry, fields): RawEntry| {
            let field = |name: &str| fields.iter().find(|field| field.0 == name).map(|it| &it.1);
            let plain = || self.plain[&format!("{stream} {entry}")];
            let job = field("j").map_or_else(plain, |it| id_in(it));
            let group = field("g").map(|group| text(group));
            LaneEntry { id: entry, job, group }
        };
        entries.into_iter().map(read).collect()
    }

    /// Returns the jobs that hold a permit.
    pub(super) async fn admitted(&mut self) -> BTreeSet<JobId> {
        let mut all: Vec<LaneEntry> = self.entries(Lane::Front).await;
        all.extend(self.entries(Lane::Suspect).await);
        all.into_iter().map(|entry| entry.job).collect()
    }

    /// Returns the jobs of a lane that no consumer holds.
    pub(super) async fn unclaimed(&mut self, lane: Lane) -> Vec<JobId> {
        let mut ask = redis::cmd("XPENDING");
        ask.arg(self.key(&format!("ready:{lane}"))).arg("workers").arg("-").arg("+").arg(1_000);
        let held: Vec<(String, redis::Value, u64, u64)> =
            ask.query_async(&mut self.raw).await.unwrap();
        let mut entries = self.entries(lane).await;
        entries.retain(|entry| held.iter().all(|held| held.0 != entry.id));
        entries.into_iter().map(|entry| entry.job).collect()
    }
}

impl Snapshot {
    pub(super) async fn read(walk: &mut Walk<'_>) -> Self {
        let mut places: BTreeMap<JobId, Vec<At>> = BTreeMap::new();
        let mut admitted = BTreeMap::new();
        for lane in Lane::ALL {
            let holds = matches!(lane, Lane::Front | Lane::Suspect);
            for entry in walk.entries(lane).await {
                let at = if holds { At::Admitted } else { At::Intake };
                places.entry(entry.job).or_default().push(at);
                if holds {
                    *admitted.entry(entry.group.unwrap_or_default()).or_insert(0) += 1;
                }
            }
        }
        type Pairs = Vec<(Vec<u8>, Vec<u8>)>;
        type Members = Vec<Vec<u8>>;
        type Contents = (Members, Members, Pairs, Pairs, Members, Vec<String>);
        let (due, dead, jobs, groups, list, timers): Contents = redis::pipe()
            .cmd("ZRANGE")
            .arg(walk.key("due"))
            .arg(0)
            .arg(-1)
            .cmd("ZRANGE")
            .arg(walk.key("dead"))
            .arg(0)
            .arg(-1)
            .cmd("HGETALL")
            .arg(walk.key("limits:jobs"))
            .cmd("HGETALL")
            .arg(walk.key("limits:groups"))
            .cmd("LRANGE")
            .arg(walk.key("limits:turns"))
            .arg(0)
            .arg(-1)
            .cmd("ZRANGE")
            .arg(walk.key("limits:timers"))
            .arg(0)
            .arg(-1)
            .query_async(&mut walk.raw)
            .await
            .unwrap();
        for (ids, at) in [(due, At::Due), (dead, At::Dead)] {
            for id in ids {
                let id = JobId::from_bytes(id.try_into().unwrap());
                places.entry(id).or_default().push(at);
            }
        }
        let mut waiting = BTreeMap::new();
        for (field, value) in jobs.iter().filter(|(field, _)| field.len() >= 5) {
            let envelope = match value[0] {
                32 | 34 => &value[3 + usize::from(u16::from_be_bytes([value[1], value[2]]))..],
                _ => &value[..],
            };
            places.entry(id_in(envelope)).or_default().push(At::Waiting);
            *waiting.entry(text(&field[5..])).or_insert(0) += 1;
        }
        let records = groups.iter().filter(|(name, _)| name != b"\0");
        let groups: BTreeMap<String, Record> =
            records.map(|(name, record)| (text(name), Record::read(record))).collect();
        let holds = |entry: &Vec<u8>| {
            let ticket = entry[..6].iter().fold(0_u64, |all, byte| all << 8 | u64::from(*byte));
            let name = text(&entry[6..]);
            let record = groups.get(&name)?;
            (record.state == 1 && record.ticket == ticket).then_some(name)
        };
        let turns = list.iter().filter_map(holds).collect();
        let timers = timers.into_iter().collect();
        Self { places, admitted, waiting, groups, turns, timers }
    }

    /// Compares the turns that groups had before a claim with the starts that it has brought, and with
    /// the turns after it.
    pub(super) fn compare_turns(
        &self,
        before: &Self,
        started: &BTreeSet<String>,
        walk: &Walk<'_>,
    ) -> Result<(), Wrong> {
        // A group of which jobs were removed, or that lacks tokens, may have had a turn without a
        // start.
        let waits = |name: &&String| {
            let record = before.groups[*name];
            let rated = walk.rate_of(name).is_some();
            !started.contains(*name) && record.numbers == record.waiting && !rated
        };
        let passed = before.turns.iter().position(|name| waits(&name)).unwrap_or(usize::MAX);
        for name in before.turns.iter().skip(passed) {
            must!(!started.contains(name), "{name:?} starts before {:?}", before.turns[passed]);
        }
        let waiting: Vec<&String> = before.turns.iter().filter(waits).collect();
        let first = self.turns.iter().rposition(|name| waiting.contains(&name)).unwrap_or(0);
        for name in &self.turns[..first] {
            let weight = walk.own.get(name).and_then(|own| own.weight);
            must!(
                !started.contains(name) || weight.is_some_and(|weight| weight > 1),
                "{name:?} has its next turn before groups that wait for theirs"
            );
        }
        Ok(())
    }

    /// Compares the contents with the model.
    pub(super) fn compare(&self, walk: &Walk<'_>) -> Result<(), Wrong> {
        for (id, job) in &walk.jobs {
            let places = self.places.get(id).map_or(&[][..], Vec::as_slice);
            let there = match job.at {
                At::Gone => places.is_empty(),
                at => places == [at],
            };
            must!(there, "{id} of {:?} should be {:?}, it is {places:?}", job.group, job.at);
        }
        for id in self.places.keys() {
            must!(walk.jobs.contains_key(id), "{id} is not known");
        }
        let names = self.groups.keys().chain(self.admitted.keys()).chain(self.waiting.keys());
        for name in names.collect::<BTreeSet<_>>() {
            let none =
                Record { numbers: 0, waiting: 0, running: 0, ticket: 0, state: 0, full_at: 0 };
            let record = self.groups.get(name).copied().unwrap_or(none);
            let (waits, runs) = (self.waiting.get(name), self.admitted.get(name));
            let (waits, runs) = (waits.copied().unwrap_or(0), runs.copied().unwrap_or(0));
            let (running, waiting) = (record.running, record.waiting);
            must!(running == runs, "{running} of {name:?} run, {runs} hold a permit");
            must!(waiting == waits, "{waiting} of {name:?} wait, {waits} are stored");
            let known = walk.order.get(name).map_or(0, |order| order.len() as u64);
            must!(known == waits, "{known} of {name:?} should wait, not {waits}");
            let turns = self.turns.iter().filter(|turn| *turn == name).count();
            let paused = walk.paused.contains(name) && waits > 0;
            must!((record.state == 4) == paused, "{name:?} is paused: {paused}, not {record:?}");
            match record.state {
                4 => must!(turns == 0, "{name:?} is paused, and has {turns} turns"),
                0 => must!(waits == 0, "{name:?} is empty, and {waits} wait"),
                1 => must!(waits > 0 && turns == 1, "{name:?} has {turns} turns for {waits}"),
                2 => {
                    let most = walk.limit_of(name).unwrap_or(0);
                    must!(waits > 0, "{name:?} is full, and none waits");
                    must!(
                        most > 0 && runs >= u64::from(most),
                        "{name:?} is full: {runs} of {most}"
                    );
                }
                3 => {
                    let timed = self.timers.contains(name);
                    must!(waits > 0 && timed, "{name:?} waits for no time, with {waits} jobs");
                }
                other => return Err(format!("{name:?} has the state {other}")),
            }
            let idle = waits == 0 && runs == 0;
            let kept = self.timers.contains(name);
            let here = self.groups.contains_key(name);
            must!(!idle || !here || kept, "{name:?} is idle, and stays");
        }
        Ok(())
    }
}
