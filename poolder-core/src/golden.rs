//! Tests of the frozen wire format: the bytes that this version writes are compared with files that
//! were written once. A difference would make jobs unreadable that wait in a user's Redis.
//!
//! `POOLDER_WRITE_GOLDEN=1 cargo test -p poolder-core golden` rewrites the files. Use it only for
//! an intended new form: a layout version added beside the old one, never in its place.

use std::path::PathBuf;
use std::time::Duration;

use crate::job::{Backoff, Cause, Failure, Format, JobId, Lane, Policy, Timestamp};
use crate::policy::Counters;
use crate::stored::{Death, Envelope, head, read_dead, read_waiting};

/// Returns the name of each file and the bytes that this version writes.
pub(crate) fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let plain = plain_envelope().as_bytes().to_vec();
    let full = full_envelope().as_bytes().to_vec();
    vec![
        ("envelope.plain", plain.clone()),
        ("envelope.full", full.clone()),
        ("envelope.json", json_envelope().as_bytes().to_vec()),
        ("counters.fresh", Counters::starting_in(Lane::Low).encode()),
        ("counters.full", full_counters().encode()),
        ("waiting.fresh", [head(Lane::High, &Counters::starting_in(Lane::High)), plain].concat()),
        ("waiting.retry", [head(Lane::Suspect, &full_counters()), full.clone()].concat()),
        ("dead.job", [death(false), head(Lane::Normal, &full_counters()), full].concat()),
        (
            "dead.raw",
            [death(true), head(Lane::Normal, &full_counters()), b"x\0y".to_vec()].concat(),
        ),
    ]
}

fn plain_envelope() -> Envelope {
    let id = JobId::from_bytes(*b"0123456789abcdef");
    Envelope::build(id, "email.welcome", 1, &Policy::default(), Format::MessagePack, |out| {
        out.extend(b"\x81\xa4user\x07");
        Ok(())
    })
    .unwrap()
}

fn full_envelope() -> Envelope {
    let seconds = Duration::from_secs;
    let policy = Policy::default()
        .attempts(5)
        .backoff(Backoff::Exponential { base: seconds(1), cap: seconds(60) })
        .timeout(seconds(30))
        .retry_for(seconds(3600))
        .crashes(4);
    let id = JobId::from_bytes([0xfe; 16]);
    Envelope::build(id, "a/b:c", 3, &policy, Format::MessagePack, |_| Ok(())).unwrap()
}

fn json_envelope() -> Envelope {
    let id = JobId::of_plain_entry("a stream", "1700000000000-0");
    Envelope::build(id, "mail", 1, &Policy::default().no_timeout(), Format::Json, |out| {
        out.extend(b"{\"user\":7}");
        Ok(())
    })
    .unwrap()
}

fn full_counters() -> Counters {
    let failure = Failure::new(Cause::Timeout, "took longer than 30s");
    let mut counters = Counters::starting_in(Lane::High)
        .failed(failure, Timestamp::from_millis(1_700_000_000_123))
        .returned();
    (counters.failures, counters.crashes, counters.deliveries) = (300, 2, 1 << 40);
    counters
}

fn death(raw: bool) -> Vec<u8> {
    let failure = Failure::new(Cause::Crash, "node n1 died while it ran (crash 3)");
    Death::new(failure, "host:1:0123456789ab", raw).encode()
}

fn folder() -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "golden"].iter().collect()
}

#[test]
fn golden_files_hold_what_is_written() {
    let write = std::env::var_os("POOLDER_WRITE_GOLDEN").is_some();
    let mut names = vec![];
    for (name, bytes) in forms() {
        let file = folder().join(format!("{name}.bin"));
        if write {
            std::fs::write(&file, &bytes).unwrap();
        }
        let frozen = std::fs::read(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        assert_eq!(frozen, bytes, "{name} is written differently now: old jobs could not be read");
        names.push(format!("{name}.bin"));
    }
    for entry in std::fs::read_dir(folder()).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        assert!(
            names.contains(&name),
            "{name} is not written any more: keep a test that it can be read"
        );
    }
}

#[test]
fn golden_files_are_read_as_what_they_were() {
    let frozen = |name: &str| std::fs::read(folder().join(format!("{name}.bin"))).unwrap();
    for (name, was) in [
        ("envelope.plain", plain_envelope()),
        ("envelope.full", full_envelope()),
        ("envelope.json", json_envelope()),
    ] {
        let read = Envelope::parse(frozen(name)).unwrap();
        assert_eq!(read, was, "{name}");
        assert_eq!(read.policy(), was.policy(), "{name}");
    }
    let fresh = Counters::decode(&frozen("counters.fresh")).unwrap();
    assert_eq!((fresh.home(), fresh.lane(), fresh.is_suspect()), (Lane::Low, Lane::Low, false));
    let full = Counters::decode(&frozen("counters.full")).unwrap();
    assert_eq!((&full, full.home()), (&full_counters(), Lane::High));
    assert_eq!(full.first_failed(), Some(Timestamp::from_millis(1_700_000_000_123)));
    let (lane, counters, envelope) = read_waiting(&frozen("waiting.retry")).unwrap();
    assert_eq!((lane, counters, envelope), (Lane::Suspect, full_counters(), full_envelope()));
    let job = read_dead(frozen("dead.job"));
    assert_eq!((job.envelope, job.counters), (Ok(full_envelope()), full_counters()));
    assert_eq!(job.death.failure.to_string(), "crash: node n1 died while it ran (crash 3)");
    let raw = read_dead(frozen("dead.raw"));
    assert_eq!((raw.envelope, raw.death.raw), (Err(b"x\0y".to_vec()), true));
}

#[test]
fn counters_of_a_later_version_are_read_without_what_it_appended() {
    let mut later = full_counters().encode();
    assert_eq!(later[0], 0x96, "an array of six");
    later[0] = 0x97;
    later.extend(b"\x92\xc3\xa3new");
    assert_eq!(Counters::decode(&later).unwrap(), full_counters());
}
