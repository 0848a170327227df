//! Reading of the bodies of waiting jobs and of the records of dead ones.

use serde::Deserialize;

use crate::job::{Cause, Error, Failure, Lane};
use crate::policy::Counters;
use crate::stored::Envelope;
use crate::stored::wire::Death;

/// A dead record that was read.
#[derive(Debug, Clone)]
pub(crate) struct Dead {
    pub(crate) death: Death,
    pub(crate) counters: Counters,
    /// The job, or the raw bytes in its place when they are not a job.
    pub(crate) envelope: Result<Envelope, Vec<u8>>,
}

/// Reads the body of a waiting job: its lane, counters and envelope.
pub(crate) fn read_waiting(body: &[u8]) -> Result<(Lane, Counters, Envelope), Error> {
    let (lane, counters, length) = head(body)?;
    Ok((lane, counters, Envelope::parse(body[length..].to_vec())?))
}

/// Reads a dead record. A record that cannot be read is returned as raw bytes.
pub(crate) fn read_dead(record: Vec<u8>) -> Dead {
    match try_read_dead(&record) {
        Ok(dead) => dead,
        Err(error) => Dead {
            death: Death {
                failure: Failure::new(Cause::Undecodable, error.to_string()),
                node: String::new(),
                raw: true,
            },
            counters: Counters::default(),
            envelope: Err(record),
        },
    }
}

/// Reads a dead record.
pub(crate) fn try_read_dead(record: &[u8]) -> Result<Dead, Error> {
    let (stored, rest) = prefixed(record)?;
    let mut reader = rmp_serde::Deserializer::new(stored);
    reader.set_max_depth(8);
    let death = Death::deserialize(&mut reader)
        .map_err(|error| Error::codec(format!("the dead record cannot be read: {error}")))?;
    let (_, counters, length) = head(rest)?;
    let body = rest[length..].to_vec();
    let envelope =
        if death.raw { Err(body) } else { Envelope::parse(body.clone()).map_err(|_| body) };
    Ok(Dead { death, counters, envelope })
}

/// Reads a head. Returns its lane, its counters and its length in bytes.
pub(super) fn head(bytes: &[u8]) -> Result<(Lane, Counters, usize), Error> {
    let (lane, rest) = bytes.split_first().ok_or_else(cut_short)?;
    let lane = Lane::from_index(usize::from(*lane))
        .ok_or_else(|| Error::codec(format!("lane {lane} is not known to this version")))?;
    let (counters, _) = prefixed(rest)?;
    Ok((lane, Counters::decode(counters)?, 3 + counters.len()))
}

/// Splits bytes that begin with a length of 2 bytes into the part of that length and the rest.
pub(super) fn prefixed(bytes: &[u8]) -> Result<(&[u8], &[u8]), Error> {
    let length = bytes.first_chunk().map(|two| usize::from(u16::from_be_bytes(*two)));
    let end = 2 + length.ok_or_else(cut_short)?;
    bytes.get(2..end).zip(bytes.get(end..)).ok_or_else(cut_short)
}

fn cut_short() -> Error {
    Error::codec("a stored job is cut short")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, JobId};
    use crate::stored::head;

    fn envelope() -> Envelope {
        let write = |out: &mut Vec<u8>| {
            out.push(7);
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        Envelope::build(id, "k", 1, None, Format::Json, write).unwrap()
    }

    #[test]
    fn what_is_stored_is_read_back_and_garbage_is_an_error() {
        let counters = Counters::starting_in(Lane::High);
        let body = [head(Lane::High, &counters), envelope().as_bytes().to_vec()].concat();
        let (lane, read, job) = read_waiting(&body).unwrap();
        assert_eq!((lane, read, job), (Lane::High, counters.clone(), envelope()));
        for cut in 0..body.len() - 1 {
            assert!(read_waiting(&body[..cut]).is_err(), "cut at {cut}");
        }

        let failure = Failure::new(Cause::Error, "no");
        let death = Death { failure, node: "n".into(), raw: false };
        let record = [death.encode(), body].concat();
        let dead = read_dead(record.clone());
        assert_eq!((dead.death, dead.counters), (death, counters));
        assert_eq!(dead.envelope, Ok(envelope()));
        let broken = read_dead(record[..9].to_vec());
        assert_eq!(broken.death.failure.cause, Cause::Undecodable);
        assert_eq!(broken.envelope, Err(record[..9].to_vec()));
    }
}
