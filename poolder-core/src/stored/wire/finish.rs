//! The record of a finished job.

use serde::{Deserialize, Serialize};

use super::records::{head, prefixed};
use super::{MAX_NODE, with_length};
use crate::job::{Error, Lane, beginning};
use crate::policy::Counters;
use crate::stored::Envelope;

/// The longest reason of a cancellation in bytes.
const MAX_REASON: usize = 300;

/// How a finished job has ended.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Finish {
    /// Why the job was cancelled; `None` for one that is done.
    #[serde(rename = "c", default, skip_serializing_if = "Option::is_none")]
    pub(crate) reason: Option<String>,
    /// How long the last attempt ran, in ms.
    #[serde(rename = "t", default)]
    pub(crate) took: u64,
    /// The node that ran it.
    #[serde(rename = "n", default)]
    pub(crate) node: String,
}

impl Finish {
    /// Creates the record of an end on this node. Long texts are cut.
    pub(crate) fn new(reason: Option<&str>, took: u64, node: &str) -> Self {
        let reason = reason.map(|reason| beginning(reason, MAX_REASON).to_owned());
        Self { reason, took, node: beginning(node, MAX_NODE).to_owned() }
    }

    /// Returns the stored form, preceded by its length.
    pub(crate) fn encode(&self) -> Vec<u8> {
        with_length(rmp_serde::to_vec_named(self).unwrap_or_default())
    }
}

/// Reads the record of a finished job: how it ended, its lane and counters, and the job.
pub(crate) fn read_finished(record: &[u8]) -> Result<(Finish, Lane, Counters, Envelope), Error> {
    let (stored, rest) = prefixed(record)?;
    let mut reader = rmp_serde::Deserializer::new(stored);
    reader.set_max_depth(8);
    let finish = Finish::deserialize(&mut reader).map_err(|error| {
        Error::codec(format!("the record of a finished job cannot be read: {error}"))
    })?;
    let (lane, counters, length) = head(rest)?;
    Ok((finish, lane, counters, Envelope::parse(rest[length..].to_vec())?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, JobId};
    use crate::stored;

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_an_error() {
        let write = |out: &mut Vec<u8>| {
            out.push(7);
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        let job = Envelope::build(id, "k", 1, None, Format::Json, write).unwrap();
        let counters = Counters::starting_in(Lane::High);
        for reason in [None, Some("x".repeat(400))] {
            let finish = Finish::new(reason.as_deref(), 12, "n");
            let head = stored::head(Lane::High, &counters);
            let record = [finish.encode(), head, job.as_bytes().to_vec()].concat();
            let read = read_finished(&record).unwrap();
            assert!(finish.reason.as_ref().is_none_or(|reason| reason.len() == 300));
            assert_eq!(read, (finish, Lane::High, counters.clone(), job.clone()));
            for cut in 0..record.len() - 1 {
                assert!(read_finished(&record[..cut]).is_err(), "cut at {cut}");
            }
        }
    }
}
