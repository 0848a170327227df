//! The forms of jobs in Redis: stream entries, waiting bodies and dead records. Bytes that are read
//! are never trusted.
//!
//! ```text
//! stream entry    j <envelope> [c <counters>] [g <group>]     as written by Poolder
//!                 kind <kind> payload <JSON>       a plain entry, as other clients may write it
//! waiting body    <head> <envelope>
//! dead record     <u16 length> <MessagePack: Death> <head> <envelope, or the raw fields>
//! finished record <u16 length> <MessagePack: Finish> <head> <envelope>
//! head            <u8 lane> <u16 length> <counters>
//! ```

mod finish;
mod records;
mod start;
mod times;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::{
    Cause, EntryId, Error, Failure, Fields, Format, JobId, Lane, MAX_STORED, beginning,
};
use crate::policy::Counters;
use crate::stored::Envelope;

pub(crate) use finish::{Finish, read_finished};
pub(crate) use records::{read_dead, read_waiting, try_read_dead};
pub use times::ClaimTimes;

/// The field of an entry that holds the envelope.
pub(crate) const JOB: &str = "j";
/// The field of an entry that holds the counters.
pub(crate) const COUNTERS: &str = "c";
/// The field of an entry that holds a permit of its group, on a limited queue.
pub(crate) const GROUP: &str = "g";

/// A claimed job. The node that claimed the job may settle it until a rescue takes the job away.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The lane from which the job was claimed.
    pub lane: Lane,
    /// The stream entry. Within one server history an entry is given to one claim only, so its id
    /// fences the claim.
    pub entry: EntryId,
    /// The job.
    pub envelope: Envelope,
    /// The counters of the job before this claim.
    pub counters: Counters,
    /// The joined text of a plain entry, by which `settle.lua` recognizes the entry; `None` for an
    /// entry written by Poolder.
    pub(crate) plain: Option<Vec<u8>>,
    /// The group of which the job holds a permit; `None` on a queue without limits.
    pub(crate) group: Option<Box<[u8]>>,
    /// The range of entries that one read claimed together with this one; `None` for fewer than 8
    /// entries, and for an entry that was not claimed by a read.
    pub(crate) range: Option<Arc<ClaimedRange>>,
}

/// The entries that one read claimed: a contiguous range of the stream. It contains no entries of
/// other claims, and none can be added to it, because streams grow only at the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedRange {
    /// The id of the first entry.
    pub(crate) first: EntryId,
    /// The smallest id that is greater than the id of the last entry.
    pub(crate) after: String,
    /// The number of entries.
    pub(crate) size: usize,
}

impl ClaimedRange {
    /// The fewest entries of a range. Fewer entries are removed more cheaply one by one than by
    /// trimming the stream.
    const MIN_SIZE: usize = 8;

    /// Creates the range of the entry ids that one read returned, in their order. `None` for fewer
    /// than 8 ids, and when the last id has no successor.
    pub(crate) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a EntryId>) -> Option<Arc<Self>> {
        let (size, mut ids) = (ids.len(), ids);
        if size < Self::MIN_SIZE {
            return None;
        }
        let (first, last) = (ids.next()?.clone(), ids.last()?);
        let (millis, number) = last.split_once('-')?;
        let number = number.parse::<u64>().ok()?.checked_add(1)?;
        Some(Arc::new(Self { first, after: format!("{millis}-{number}"), size }))
    }
}

impl Claim {
    /// Creates the claim of an entry that was written by Poolder.
    #[must_use]
    pub fn new(lane: Lane, entry: EntryId, envelope: Envelope, counters: Counters) -> Self {
        Self { lane, entry, envelope, counters, plain: None, group: None, range: None }
    }

    /// Returns the id of the job.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        self.envelope.id()
    }

    /// Returns the group of which the job holds a permit, on a limited queue. `None` on any other
    /// queue, and for a group whose name is not text.
    #[must_use]
    pub fn group(&self) -> Option<&str> {
        std::str::from_utf8(self.group.as_deref()?).ok()
    }

    /// Returns the times of the job.
    #[must_use]
    pub fn times(&self) -> ClaimTimes {
        ClaimTimes {
            id: self.job_id(),
            entry: self.entry.clone(),
            generation: self.counters.generation(),
            fresh: self.fence() == 1 && self.attempt() == 1,
        }
    }

    /// Returns the number of this attempt, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.counters.failures.saturating_add(1)
    }

    /// Returns how often a slot got the job, this time included. The number grows with every claim.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.counters.deliveries.saturating_add(1)
    }
}

/// An entry that is not a job. It is buried as raw bytes.
#[derive(Debug, Clone)]
pub struct Undecodable {
    /// The lane in which the entry was found.
    pub lane: Lane,
    /// The id of the entry.
    pub entry: EntryId,
    /// The joined names and values of the fields; empty for an entry that was not read.
    pub raw: Vec<u8>,
    /// The bytes of an entry that was not read, since it is too large: the server moves it.
    pub unread: Option<usize>,
    /// The job id under which the entry is kept among the dead.
    pub id: JobId,
    /// The reason why the entry cannot be read.
    pub reason: Failure,
    /// The group of which the entry holds a permit; `None` on a queue without limits.
    pub group: Option<Box<[u8]>>,
}

/// A stream entry after it was read.
#[derive(Debug, Clone)]
pub enum Entry {
    /// The entry is a job.
    Job(Claim),
    /// The entry is not a job.
    Undecodable(Undecodable),
}

impl Undecodable {
    /// Creates an entry of this many bytes that is not read. `job` is the id of its job, if it is
    /// an entry as Poolder writes it.
    pub(crate) fn unread(
        stream: &str,
        lane: Lane,
        entry: EntryId,
        bytes: usize,
        job: Option<JobId>,
    ) -> Self {
        let why = if bytes > MAX_STORED {
            format!(
                "the entry has {bytes} bytes, the most is {MAX_STORED}, so it was not read: store \
                 the data elsewhere and enqueue a reference to it"
            )
        } else {
            format!(
                "each reply with this entry of {bytes} bytes was lost, so it was not read: raise \
                 client-output-buffer-limit or the response timeout, then revive the job"
            )
        };
        let id = job.unwrap_or_else(|| JobId::of_plain_entry(stream, &entry));
        let reason = Failure::new(Cause::Undecodable, why);
        Self { lane, entry, raw: vec![], id, reason, unread: Some(bytes), group: None }
    }
}

impl Entry {
    /// Returns about how many bytes the entry has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        match self {
            Self::Job(claim) => claim.envelope.as_bytes().len(),
            Self::Undecodable(found) => found.unread.unwrap_or(found.raw.len()),
        }
    }

    /// Returns the lane of the entry, and its id.
    #[must_use]
    pub fn key(&self) -> (Lane, &EntryId) {
        match self {
            Self::Job(claim) => (claim.lane, &claim.entry),
            Self::Undecodable(found) => (found.lane, &found.entry),
        }
    }
}

/// Returns the bytes of the names and values of an entry.
pub(crate) fn entry_bytes(fields: &Fields) -> usize {
    fields.iter().map(|(name, value)| name.len() + value.len()).sum()
}

/// Reads a stream entry. The job id of a plain entry is derived from `stream` and the entry id.
pub(crate) fn read_entry(stream: &str, lane: Lane, entry: EntryId, mut fields: Fields) -> Entry {
    let bytes = entry_bytes(&fields);
    if bytes > MAX_STORED {
        let envelope = fields.first().filter(|(name, _)| name == JOB.as_bytes());
        let id = envelope.and_then(|(_, envelope)| envelope.get(2..18)?.try_into().ok());
        let job = id.map(JobId::from_bytes);
        let group = group_of(lane, &fields);
        let unread = Undecodable::unread(stream, lane, entry, bytes, job);
        return Entry::Undecodable(Undecodable { group, ..unread });
    }
    let group = group_of(lane, &fields);
    match try_read(stream, lane, &entry, &mut fields) {
        Ok((envelope, counters, plain)) => {
            Entry::Job(Claim { plain, group, ..Claim::new(lane, entry, envelope, counters) })
        }
        Err(error) => Entry::Undecodable(Undecodable {
            lane,
            id: JobId::of_plain_entry(stream, &entry),
            entry,
            raw: joined(&fields),
            unread: None,
            reason: Failure::new(Cause::Undecodable, error.to_string()),
            group,
        }),
    }
}

/// Returns the group of which an entry holds a permit. Only entries of the lanes front and suspect
/// hold one; in other lanes the field is some producer's.
fn group_of(lane: Lane, fields: &Fields) -> Option<Box<[u8]>> {
    let admitted = matches!(lane, Lane::Front | Lane::Suspect);
    let field = fields.iter().find(|(name, _)| name == GROUP.as_bytes()).filter(|_| admitted);
    field.map(|(_, group)| group.as_slice().into())
}

type Read = (Envelope, Counters, Option<Vec<u8>>);

fn try_read(stream: &str, lane: Lane, entry: &str, fields: &mut Fields) -> Result<Read, Error> {
    let place = |name: &str| fields.iter().position(|(key, _)| key == name.as_bytes());
    let counters = match place(COUNTERS) {
        Some(index) => Counters::decode(&fields[index].1)?,
        None => Counters::starting_in(lane),
    };
    match place(JOB) {
        Some(0) => return Ok((Envelope::take(&mut fields[0].1)?, counters, None)),
        // `settle.lua` recognizes an entry written by Poolder by its first field. An entry with `j`
        // elsewhere could be claimed, but never settled.
        Some(_) => return Err(Error::codec("the field \"j\" is not the entry's first")),
        None => {}
    }
    let field = |name: &str| place(name).map(|index| fields[index].1.as_slice());
    let missing = |name| {
        Error::codec(format!("the entry has no field {name:?}: a plain entry is kind, payload"))
    };
    let kind = field("kind").ok_or_else(|| missing("kind"))?;
    let kind = std::str::from_utf8(kind).map_err(|_| Error::codec("the kind is not text"))?;
    let payload = field("payload").ok_or_else(|| missing("payload"))?;
    let id = JobId::of_plain_entry(stream, entry);
    let write = |out: &mut Vec<u8>| {
        out.extend(payload);
        Ok(())
    };
    let envelope = Envelope::build(id, kind, 1, None, Format::Json, write)?;
    Ok((envelope, counters, Some(joined(fields))))
}

/// Returns all names and values of an entry, joined by zero bytes, as `settle.lua` joins them.
fn joined(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let parts: Vec<&[u8]> = fields.iter().flat_map(|(k, v)| [k.as_slice(), v]).collect();
    parts.join(&0)
}

/// The longest name of a node in a dead record, in bytes. Longer names are cut: consumers of other
/// clients may have names of any length.
const MAX_NODE: usize = 256;

/// The reason for the death of a job, and the node that buried it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    /// The failure of which the job died.
    pub(crate) failure: Failure,
    /// The node that buried the job.
    pub(crate) node: String,
    /// True when the record ends with raw fields instead of an envelope.
    #[serde(default)]
    pub(crate) raw: bool,
}

impl Death {
    /// Creates the record of a death. `node` buried the job; a long name is cut.
    pub(crate) fn new(failure: Failure, node: &str, raw: bool) -> Self {
        Self { failure, node: beginning(node, MAX_NODE).to_owned(), raw }
    }

    /// Returns the stored form, preceded by its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        with_length(rmp_serde::to_vec(self).unwrap_or_default())
    }
}

/// Returns the head of a body: the lane that the job goes to, and its counters.
pub(crate) fn head(lane: Lane, counters: &Counters) -> Vec<u8> {
    let mut head = vec![u8::try_from(lane.index()).unwrap_or_default()];
    head.extend(with_length(counters.encode()));
    head
}

fn with_length(bytes: Vec<u8>) -> Vec<u8> {
    // Both forms are bounded by the length of a failure message, far below 64 KiB.
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    let mut out = length.to_be_bytes().to_vec();
    out.extend(bytes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stored::table::FIELDS;

    fn entry(fields: &[(&str, &[u8])]) -> Entry {
        let fields = fields.iter().map(|(k, v)| (k.as_bytes().to_vec(), v.to_vec())).collect();
        read_entry("s", Lane::High, "1-0".into(), fields)
    }

    #[test]
    fn a_plain_entry_is_a_job_with_an_id_of_its_own() {
        let fields: [(&str, &[u8]); 2] = [("kind", b"mail"), ("payload", b"{\"user\":7}")];
        let (Entry::Job(claim), Entry::Job(again)) = (entry(&fields), entry(&fields)) else {
            panic!("a plain entry is a job");
        };
        assert_eq!(claim.job_id(), again.job_id());
        assert_eq!(claim.envelope.raw_job().format, Format::Json);
        assert_eq!(claim.counters.home(), Lane::High);
        assert_eq!(claim.plain.as_deref(), Some(b"kind\0mail\0payload\0{\"user\":7}".as_slice()));
        assert_eq!((claim.attempt(), claim.fence()), (1, 1));
    }

    #[test]
    fn a_claimed_range_ends_right_after_its_last_entry() {
        let ids = |last: &str| {
            let mut ids: Vec<EntryId> = (0..7).map(|n| format!("5-{n}").into()).collect();
            ids.push(last.into());
            ids
        };
        let range = |ids: &[EntryId]| ClaimedRange::of(ids.iter()).map(Arc::unwrap_or_clone);
        let all = ClaimedRange { first: "5-0".into(), after: "6-4".into(), size: 8 };
        assert_eq!(range(&ids("6-3")), Some(all));
        assert_eq!(range(&ids("6-3")[1..]), None, "too few to be worth it");
        assert_eq!(range(&ids(&format!("6-{}", u64::MAX))), None);
        assert_eq!(range(&ids("no id")), None);
    }

    #[test]
    fn what_is_no_job_says_why() {
        type Case<'a> = (&'a [(&'a str, &'a [u8])], &'a str);
        let cases: [Case<'_>; 5] = [
            (&[("x", b"y")], "no field \"kind\""),
            (&[("kind", b"mail")], "no field \"payload\""),
            (&[("kind", b"a b"), ("payload", b"1")], "not allowed"),
            (&[("j", b"\x01")], "shorter than a header"),
            (&[("j", b""), ("c", b"\xc1")], "counters"),
        ];
        for (fields, why) in cases {
            let Entry::Undecodable(found) = entry(fields) else { panic!("{fields:?}") };
            assert!(found.reason.message.contains(why), "{why}: {}", found.reason);
        }
    }

    #[test]
    fn the_fields_are_those_of_the_table() {
        let names: Vec<&str> = FIELDS.iter().map(|row| row.0).collect();
        assert_eq!(names, [JOB, COUNTERS, GROUP, "kind", "payload", "group", "raw", "n"]);
        let sort = include_str!("../broker/scripts/limits/sort.lua");
        assert!(sort.contains("group_named(named.group)"));
        let claim = include_str!("../broker/scripts/limits/claim.lua");
        assert!(claim.contains("is_job and 'j' or 'raw', value, 'g', group)"));
        let script = include_str!("../broker/scripts/addressed/broadcast.lua");
        assert!(script.contains("'*', 'j', ARGV[1], 'n', number)"));
    }
}
