//! The forms of a job that waits in a group of a limited queue. `limits/sort.lua` and `limits/put.lua`
//! write them.
//!
//! ```text
//! field     <u40 number> <group>
//! value     <envelope>
//!           32 <u16 length> <counters> <envelope>
//!           33 <text of an entry that is no job>
//!           34 <u16 length> <u32 cost> <counters, if any> <envelope>
//! ```
//!
//! The length is that of everything between it and the envelope.

use std::borrow::Cow;

use crate::job::{Cause, Failure, JobId};
use crate::policy::Counters;
use crate::stored::Envelope;

/// The bytes of the number of a job in the field.
const NUMBER: usize = 5;
/// The first byte of a value with counters.
const WITH_COUNTERS: u8 = 32;
/// The first byte of a value that is no job.
const NO_JOB: u8 = 33;
/// The first byte of a value with a cost.
const WITH_COST: u8 = 34;
/// The bytes of the cost.
const COST: usize = 4;

/// A job that waits in a group; the reason and the bytes of one that cannot be read.
pub(crate) type Grouped = Result<(Counters, Envelope), (Failure, Vec<u8>)>;

/// Returns the field under which a job of this number waits in a group.
pub(crate) fn group_field(group: &[u8], number: u64) -> Vec<u8> {
    [&number.to_be_bytes()[8 - NUMBER..], group].concat()
}

/// Reads the field of a waiting job: its number and its group. `None` for one that is no job's.
pub(crate) fn read_group_field(field: &[u8]) -> Option<(u64, Vec<u8>)> {
    let (number, group) = field.split_at_checked(NUMBER)?;
    let number = number.iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    Some((number, group.to_vec()))
}

/// Returns the value of a job without counters that waits in a group.
pub(crate) fn grouped_value(envelope: &Envelope) -> Cow<'_, [u8]> {
    match envelope.cost() {
        1 => envelope.as_bytes().into(),
        cost => {
            let head = [&[WITH_COST, 0, 4][..], &cost.to_be_bytes()].concat();
            [&head, envelope.as_bytes()].concat().into()
        }
    }
}

/// Reads the value of a waiting job.
pub(crate) fn read_grouped(value: Vec<u8>) -> Grouped {
    let unreadable = |why: String| Failure::new(Cause::Undecodable, why);
    let (counters, envelope) = match value.first() {
        Some(form @ (&WITH_COUNTERS | &WITH_COST)) => {
            let cost = if *form == WITH_COST { COST } else { 0 };
            let length =
                value.get(1..3).and_then(|two| Some(u16::from_be_bytes(two.try_into().ok()?)));
            let end = 3 + length.map_or(usize::MAX - 3, usize::from);
            match (value.get(3 + cost..end), value.get(end..)) {
                (Some([]), Some(envelope)) if cost > 0 => (Counters::default(), envelope),
                (Some(counters), Some(envelope)) => match Counters::decode(counters) {
                    Ok(counters) => (counters, envelope),
                    Err(error) => return Err((unreadable(error.to_string()), value)),
                },
                _ => return Err((unreadable("a stored job is cut short".into()), value)),
            }
        }
        Some(&NO_JOB) => {
            return Err((unreadable("the entry is not a job".into()), value[1..].to_vec()));
        }
        _ => (Counters::default(), value.as_slice()),
    };
    match Envelope::parse(envelope.to_vec()) {
        Ok(envelope) => Ok((counters, envelope)),
        Err(error) => Err((unreadable(error.to_string()), value)),
    }
}

/// Returns the id under which a value that is no job is shown.
pub(crate) fn id_of_unreadable(key: &str, number: u64) -> JobId {
    JobId::of_plain_entry(key, &number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::{Format, Lane};

    fn envelope() -> Envelope {
        let write = |out: &mut Vec<u8>| {
            out.push(7);
            Ok(())
        };
        let id = JobId::from_bytes([7; 16]);
        Envelope::build(id, "k", 1, None, Format::Json, write).unwrap()
    }

    #[test]
    fn a_field_is_a_number_of_five_bytes_and_the_group() {
        let field = group_field(b"acme", 1_000_000_001);
        assert_eq!(field, b"\x00\x3b\x9a\xca\x01acme");
        assert_eq!(read_group_field(&field), Some((1_000_000_001, "acme".into())));
        assert_eq!(read_group_field(b"\0"), None, "the field that is no job");
        assert_eq!(read_group_field(b"\0\0\0\0\x07\xff").unwrap().0, 7);
    }

    #[test]
    fn values_are_read_with_and_without_counters_and_garbage_is_shown() {
        let plain = read_grouped(envelope().as_bytes().to_vec()).unwrap();
        assert_eq!(plain, (Counters::default(), envelope()));
        let counters = Counters::starting_in(Lane::High);
        let encoded = counters.encode();
        let length = u16::try_from(encoded.len()).unwrap().to_be_bytes();
        let value = [&[32], &length[..], &encoded, envelope().as_bytes()].concat();
        assert_eq!(read_grouped(value.clone()).unwrap(), (counters, envelope()));
        for cut in 0..value.len() - 1 {
            let (failure, raw) = read_grouped(value[..cut].to_vec()).unwrap_err();
            assert_eq!((failure.cause, raw.len()), (Cause::Undecodable, cut), "cut at {cut}");
        }
        let costly = envelope().costing(300).unwrap();
        let value = grouped_value(&costly).into_owned();
        assert_eq!(value[..7], [34, 0, 4, 0, 0, 1, 44]);
        assert_eq!(read_grouped(value.clone()).unwrap(), (Counters::default(), costly));
        for cut in 1..value.len() - 1 {
            assert!(read_grouped(value[..cut].to_vec()).is_err(), "cut at {cut}");
        }
        assert_eq!(grouped_value(&envelope()), envelope().as_bytes());
        let (_, raw) = read_grouped(b"\x21foo\0bar".to_vec()).unwrap_err();
        assert_eq!(raw, b"foo\0bar");
    }
}
