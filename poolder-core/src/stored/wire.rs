//! How jobs look inside Redis: stream entries, waiting bodies, dead records. Nothing read is
//! trusted.
//!
//! ```text
//! stream entry    j <envelope> [c <counters>]      as Poolder writes it
//!                 kind <kind> payload <JSON>       as any other client may write it
//! waiting body    <head> <envelope>
//! dead record     <u16 length> <MessagePack: Death> <head> <envelope, or the raw fields>
//! head            <u8 lane> <u16 length> <counters>
//! ```

mod records;

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::job::{Cause, EntryId, Error, Failure, Fields, Format, JobId, Lane, Policy};
use crate::policy::Counters;
use crate::stored::Envelope;

pub(crate) use records::{read_dead, read_waiting};

/// The field of an entry that holds the envelope.
pub(crate) const JOB: &str = "j";
/// The field of an entry that holds the counters.
pub(crate) const COUNTERS: &str = "c";

/// A job that this process holds: it may settle it, as long as nobody took it back.
#[derive(Debug, Clone)]
pub struct Claim {
    /// The lane it was claimed from.
    pub lane: Lane,
    /// The entry, which within one server history is the claim's fence.
    pub entry: EntryId,
    /// The job.
    pub envelope: Envelope,
    /// What has happened to it before.
    pub counters: Counters,
    /// For a plain entry: all its text, to know it again.
    pub(crate) plain: Option<Vec<u8>>,
    /// What was claimed with it by one read, where that was much.
    pub(crate) range: Option<Arc<ClaimedRange>>,
}

/// The entries that one read gave to us: a piece of the stream in which there are no others, and
/// never will be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ClaimedRange {
    /// The id of its first entry …
    pub(crate) first: EntryId,
    /// … and the least id that is greater than that of its last.
    pub(crate) after: String,
    /// How many entries it has.
    pub(crate) size: usize,
}

impl ClaimedRange {
    /// Fewer than this are removed more cheaply one by one.
    const LEAST: usize = 8;

    /// `ids` as one read brought them.
    pub(crate) fn of<'a>(ids: impl ExactSizeIterator<Item = &'a EntryId>) -> Option<Arc<Self>> {
        let (size, mut ids) = (ids.len(), ids);
        if size < Self::LEAST {
            return None;
        }
        let (first, last) = (ids.next()?.clone(), ids.last()?);
        let (millis, number) = last.split_once('-')?;
        let number = number.parse::<u64>().ok()?.checked_add(1)?;
        Some(Arc::new(Self { first, after: format!("{millis}-{number}"), size }))
    }
}

impl Claim {
    /// The job's id.
    #[must_use]
    pub fn job_id(&self) -> JobId {
        self.envelope.id()
    }

    /// Which attempt this is, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.counters.failures.saturating_add(1)
    }

    /// How often the job was given to a slot, this time included: it grows with every claim.
    #[must_use]
    pub fn fence(&self) -> u64 {
        self.counters.deliveries.saturating_add(1)
    }
}

/// An entry that is not a job. It goes to the dead as raw bytes.
#[derive(Debug, Clone)]
pub struct Undecodable {
    /// The lane it was found in.
    pub lane: Lane,
    /// The entry.
    pub entry: EntryId,
    /// Its fields, joined.
    pub(crate) raw: Vec<u8>,
    /// The id under which it is kept.
    pub(crate) id: JobId,
    /// Why it cannot be read.
    pub reason: Failure,
}

/// What an entry turned out to be.
#[derive(Debug, Clone)]
pub enum Entry {
    /// A job.
    Job(Claim),
    /// Not a job.
    Undecodable(Undecodable),
}

/// Reads a stream entry. `stream` gives a plain entry its id.
pub(crate) fn read_entry(stream: &str, lane: Lane, entry: EntryId, mut fields: Fields) -> Entry {
    match try_read(stream, lane, &entry, &mut fields) {
        Ok((envelope, counters, plain)) => {
            Entry::Job(Claim { lane, entry, envelope, counters, plain, range: None })
        }
        Err(error) => Entry::Undecodable(Undecodable {
            lane,
            id: JobId::of_plain_entry(stream, &entry),
            entry,
            raw: joined(&fields),
            reason: Failure::new(Cause::Undecodable, error.to_string()),
        }),
    }
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
        // `move.lua` knows a packed entry by its first field: one that it cannot know again could
        // be claimed but never be settled.
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
    let envelope = Envelope::build(id, kind, 1, &Policy::default(), Format::Json, write)?;
    Ok((envelope, counters, Some(joined(fields))))
}

/// All text of an entry, joined by zero bytes, as `move.lua` joins it.
fn joined(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<u8> {
    let parts: Vec<&[u8]> = fields.iter().flat_map(|(k, v)| [k.as_slice(), v]).collect();
    parts.join(&0)
}

/// A node's name in a dead record is cut here: foreign consumers may be called anything.
const MAX_NODE: usize = 256;

/// Why and where a job died.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    /// The reason.
    pub(crate) failure: Failure,
    /// The node that buried it.
    pub(crate) node: String,
    /// True when what follows is not an envelope but raw fields.
    #[serde(default)]
    pub(crate) raw: bool,
}

impl Death {
    /// `node` buried it.
    pub(crate) fn new(failure: Failure, node: &str, raw: bool) -> Self {
        let end = (0..=node.len().min(MAX_NODE)).rev().find(|end| node.is_char_boundary(*end));
        Self { failure, node: node[..end.unwrap_or(0)].to_owned(), raw }
    }

    /// The stored form, with its length in front.
    pub(crate) fn encode(&self) -> Vec<u8> {
        with_length(rmp_serde::to_vec(self).unwrap_or_default())
    }
}

/// What stands before a body: the lane it goes to and its history.
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
    fn a_stretch_ends_right_after_its_last_entry() {
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
}
