//! Property tests: reading any bytes from Redis neither panics nor takes unbounded memory, and no
//! length or number in them is trusted. The seeds are the golden files and `tests/corpus`; proptest
//! mutates them.

mod records;

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;
use proptest::sample::select;

use crate::job::{Cause, Failure, Fields, Format, Lane, Outcome, Timestamp, Verdict, payload};
use crate::policy::decide::{Ending, Transition, decide};
use crate::policy::{Counters, Facts};
use crate::stored::{
    Claim, Death, Entry, Envelope, head, read_dead, read_entry, read_finished, read_waiting,
};

/// More bytes than any counters take: a message, 14 attempts, and 4 KiB of a later version.
const MAX_COUNTERS: usize = 8192;

/// Returns every committed seed.
fn seeds() -> Vec<Vec<u8>> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let files = ["golden", "corpus"].map(|folder| std::fs::read_dir(tests.join(folder)).unwrap());
    let read = |entry: std::io::Result<std::fs::DirEntry>| std::fs::read(entry.unwrap().path());
    let seeds: Vec<_> = files.into_iter().flatten().map(|entry| read(entry).unwrap()).collect();
    assert!(seeds.len() > 15, "the corpus is committed");
    seeds
}

/// Generates a seed with bytes changed, cut, repeated and inserted, or random bytes.
pub(crate) fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let change = (any::<prop::sample::Index>(), any::<u8>(), 0..5_u8);
    let mutated = (select(seeds()), prop::collection::vec(change, 0..6));
    let mutated = mutated.prop_map(|(mut bytes, changes)| {
        for (at, byte, how) in changes {
            let at = at.index(bytes.len() + 1);
            match how {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, byte),
                2 => bytes.extend_from_within(at..),
                _ => bytes.iter_mut().skip(at).take(1).for_each(|old| *old = byte),
            }
            bytes.truncate(1 << 16);
        }
        bytes
    });
    prop_oneof![3 => mutated, 1 => prop::collection::vec(any::<u8>(), 0..200)]
}

fn fields() -> impl Strategy<Value = Fields> {
    let names = [&b"j"[..], b"c", b"kind", b"payload", b"", b"\xff"].map(<[u8]>::to_vec);
    prop::collection::vec((select(names.to_vec()), bytes()), 1..4)
}

fn ending() -> impl Strategy<Value = Ending> {
    let failed = |verdict| Ending::Failed(Failure::new(Cause::Error, "no"), verdict);
    select(vec![
        Ending::Outcome(Outcome::Done),
        Ending::Outcome(Outcome::Snooze(Duration::MAX)),
        failed(Verdict::Policy),
        failed(Verdict::RetryNow),
        failed(Verdict::Backoff(Duration::MAX)),
        failed(Verdict::Halt),
        Ending::UnknownKind,
        Ending::Released,
        Ending::Crashed("n".into()),
    ])
}

/// Checks that the entry a script would store after this transition is read back as the same job
/// with the new counters.
fn survives(claim: &Claim, transition: &Transition) -> Result<(), TestCaseError> {
    let (Transition::Later { counters, .. }
    | Transition::Ready { counters, .. }
    | Transition::Bury { counters }) = transition
    else {
        return Ok(());
    };
    let head = head(counters.lane(), counters);
    // `promote.lua` and `settle.lua` split the head in this way.
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    prop_assert_eq!(head.len(), 3 + length);
    prop_assert!(usize::from(head[0]) < Lane::ALL.len());
    let fields = vec![
        (b"j".to_vec(), claim.envelope.as_bytes().to_vec()),
        (b"c".to_vec(), head[3..].to_vec()),
    ];
    let Entry::Job(again) = read_entry("s", Lane::Normal, "2-0".into(), fields) else {
        return Err(TestCaseError::fail("the job could not be read after it was moved"));
    };
    prop_assert_eq!(&again.envelope, &claim.envelope);
    prop_assert_eq!(&again.counters, counters);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn any_envelope_is_refused_or_read_whole(bytes in bytes()) {
        let Ok(read) = Envelope::parse(bytes.clone()) else { return Ok(()) };
        prop_assert_eq!(read.as_bytes(), &bytes[..]);
        prop_assert!(!read.kind().is_empty());
        prop_assert!(read.policy().check().is_ok());
        prop_assert!(read.raw_job().payload.len() < bytes.len());
        prop_assert_eq!(&Envelope::parse(bytes).unwrap(), &read);
        // A change may be refused, because the known options may be stored in fewer bytes than this
        // version writes.
        if let Ok(changed) = read.with_payload(Format::Json, b"{}") {
            let again = Envelope::parse(changed.as_bytes().to_vec()).unwrap();
            prop_assert_eq!(&again, &changed);
            prop_assert_eq!(again.unknown_requirement(), read.unknown_requirement());
            prop_assert_eq!(again.policy(), read.policy());
        }
    }

    #[test]
    fn any_counters_are_refused_or_fit_their_place(bytes in bytes()) {
        let Ok(read) = Counters::decode(&bytes) else { return Ok(()) };
        prop_assert!(read.encode().len() < MAX_COUNTERS);
        prop_assert_eq!(Counters::decode(&read.encode()).unwrap(), read);
    }

    #[test]
    fn any_entry_is_a_job_that_survives_its_moves_or_says_why_not(
        fields in fields(), ending in ending(), jitter in -1.0..=1.0,
    ) {
        match read_entry("s", Lane::Normal, "1-0".into(), fields.clone()) {
            Entry::Job(claim) => {
                // `settle.lua` recognizes an entry written by Poolder by its first field.
                let packed = fields[0].0 == b"j";
                prop_assert_eq!(packed, claim.plain.is_none());
                let policy = claim.envelope.policy();
                let now = Timestamp::from_millis(i64::MAX - 1);
                for now in [Timestamp::from_millis(1), now] {
                    let facts = Facts { now, took: Duration::MAX, node: "n", jitter };
                    let next = decide(&policy, &claim.counters, ending.clone(), facts);
                    survives(&claim, &next)?;
                }
            }
            Entry::Undecodable(found) => {
                prop_assert!(!found.reason.message.is_empty());
                for (name, value) in fields {
                    prop_assert!(contains(&found.raw, &name) && contains(&found.raw, &value));
                }
            }
        }
    }

    #[test]
    fn any_body_and_any_dead_record_is_read_or_kept_as_it_is(bytes in bytes()) {
        if let Ok((_, counters, envelope)) = read_waiting(&bytes) {
            prop_assert!(bytes.ends_with(envelope.as_bytes()));
            prop_assert!(counters.encode().len() < MAX_COUNTERS);
        }
        if let Ok((_, _, _, envelope)) = read_finished(&bytes) {
            prop_assert!(bytes.ends_with(envelope.as_bytes()));
        }
        match read_dead(bytes.clone()).envelope {
            Ok(envelope) => prop_assert!(bytes.ends_with(envelope.as_bytes())),
            Err(raw) => prop_assert!(bytes.ends_with(&raw)),
        }
    }

    #[test]
    fn any_payload_is_refused_or_read(bytes in bytes()) {
        let Ok(read) = Envelope::parse(bytes) else { return Ok(()) };
        // Deep nesting, wrong lengths and invalid text must be errors.
        let _ = payload::decode::<serde_json::Value>(read.raw_job());
    }

    #[test]
    fn a_dead_record_has_a_length_that_is_true(name in ".{0,5000}", text in ".{0,5000}") {
        let record = Death::new(Failure::new(Cause::Crash, text), &name, true).encode();
        let length = usize::from(u16::from_be_bytes([record[0], record[1]]));
        prop_assert_eq!(record.len(), 2 + length);
        let read: Death = rmp_serde::from_slice(&record[2..]).unwrap();
        prop_assert!(name.starts_with(&read.node));
    }
}

fn contains(whole: &[u8], part: &[u8]) -> bool {
    part.is_empty() || whole.windows(part.len()).any(|window| window == part)
}

/// Returns the number of cases per property: `PROPTEST_CASES`, or 300.
pub(crate) fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}
