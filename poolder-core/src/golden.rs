//! Tests of the frozen wire format: the bytes that this version writes are compared with files that
//! were written once. A difference would make jobs unreadable that wait in a user's Redis.
//!
//! `POOLDER_WRITE_GOLDEN=1 cargo test -p poolder-core golden` rewrites the files. Use it only for
//! an intended new form: a layout version added beside the old one, never in its place.

mod old_reader;

use std::path::PathBuf;
use std::time::Duration;

use crate::history::{
    Actor, AttemptEnd, AuditOutcome, AuditRecord, Counts, JournalEvent, JournalRecord, KindSums,
    Mute,
};
use crate::job::{
    Backoff, Cause, EntryId, Failure, Format, Handle, Headers, JobId, Lane, Place, Policy,
    QueueName, Timestamp, Unique, payload,
};
use crate::policy::{Counters, Facts};
use crate::stored::{Death, Envelope, Finish, head, read_dead, read_finished, read_waiting};

/// Returns the name of each file and the bytes that this version writes.
pub(crate) fn forms() -> Vec<(&'static str, Vec<u8>)> {
    let plain = plain_envelope().as_bytes().to_vec();
    let full = full_envelope().as_bytes().to_vec();
    vec![
        ("envelope.plain", plain.clone()),
        ("envelope.full", full.clone()),
        ("envelope.default_policy", default_policy_envelope().as_bytes().to_vec()),
        ("envelope.json", json_envelope().as_bytes().to_vec()),
        ("counters.fresh", Counters::starting_in(Lane::Low).encode()),
        ("counters.full", full_counters().encode()),
        ("counters.attempts", counters_with_attempts().encode()),
        ("counters.generation", counters_of_a_name().encode()),
        ("counters.later", later_counters().encode()),
        ("counters.limited", limited_counters().encode()),
        ("envelope.second", second_envelope().as_bytes().to_vec()),
        ("envelope.later", later_envelope().as_bytes().to_vec()),
        ("envelope.headers", headers_envelope().as_bytes().to_vec()),
        ("envelope.trace", trace_envelope().as_bytes().to_vec()),
        ("envelope.unique", unique_envelope().as_bytes().to_vec()),
        ("envelope.keep_last", keep_last_envelope().as_bytes().to_vec()),
        ("envelope.group", group_envelope().as_bytes().to_vec()),
        ("envelope.cost", cost_envelope().as_bytes().to_vec()),
        ("envelope.expires_at", expires_at_envelope().as_bytes().to_vec()),
        ("envelope.expires_in", expires_in_envelope().as_bytes().to_vec()),
        ("counters.begun", begun_counters().encode()),
        ("handles", handles().into_bytes()),
        ("history.counts", history_counts().encode()),
        ("journal.record", serde_json::to_vec(&journal_record()).unwrap()),
        ("audit.record", serde_json::to_vec(&audit_record()).unwrap()),
        ("error.mute", serde_json::to_vec(&error_mute()).unwrap()),
        ("waiting.fresh", [head(Lane::High, &Counters::starting_in(Lane::High)), plain].concat()),
        ("waiting.retry", [head(Lane::Suspect, &full_counters()), full.clone()].concat()),
        ("dead.job", [death(false), head(Lane::Normal, &full_counters()), full].concat()),
        (
            "finished.job",
            [finish(), head(Lane::Low, &full_counters()), json_envelope().as_bytes().to_vec()]
                .concat(),
        ),
        (
            "dead.raw",
            [death(true), head(Lane::Normal, &full_counters()), b"x\0y".to_vec()].concat(),
        ),
    ]
}

fn finish() -> Vec<u8> {
    Finish::new(Some("not today"), 1_234, "host:1:a").encode()
}

fn plain_envelope() -> Envelope {
    let id = JobId::from_bytes(*b"0123456789abcdef");
    Envelope::build(id, "email.welcome", 1, None, Format::MessagePack, |out| {
        out.extend(b"\x81\xa4user\x07");
        Ok(())
    })
    .unwrap()
}

/// A job of a group. Its option comes before those of the policy.
fn group_envelope() -> Envelope {
    full_envelope().in_group("acme").unwrap()
}

/// A job of a group with a cost.
fn cost_envelope() -> Envelope {
    group_envelope().costing(70_000).unwrap()
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
    Envelope::build(id, "a/b:c", 3, Some(&policy), Format::MessagePack, |_| Ok(())).unwrap()
}

/// A job that asks for the default policy, which it has also in a pool with another policy.
fn default_policy_envelope() -> Envelope {
    let (id, policy) = (JobId::from_bytes([0x11; 16]), Policy::default());
    Envelope::build(id, "k", 1, Some(&policy), Format::MessagePack, |_| Ok(())).unwrap()
}

fn json_envelope() -> Envelope {
    let id = JobId::of_plain_entry("a stream", "1700000000000-0");
    Envelope::build(id, "mail", 1, Some(&Policy::default().timeout(None)), Format::Json, |out| {
        out.extend(b"{\"user\":7}");
        Ok(())
    })
    .unwrap()
}

/// A job with a payload of the second encoding: ids and addresses as text, and a `Some` around
/// nothing.
fn second_envelope() -> Envelope {
    let id = JobId::from_bytes(*b"0123456789abcdef");
    let address = std::net::IpAddr::from([10, 1, 2, 3]);
    let parts = (uuid::Uuid::from_u128(7), address, Some(None::<u8>), Some(Some(())), 1_u128);
    Envelope::build(id, "k", 1, None, Format::MessagePack, |out| payload::encode(&parts, out))
        .unwrap()
}

/// Returns counters as a version wrote them that did not keep attempts.
fn full_counters() -> Counters {
    let failure = Failure::new(Cause::Timeout, "took longer than 30s");
    let high = u8::try_from(Lane::High.index()).unwrap();
    let stored = (300, 2, 1_u64 << 40, 1_700_000_000_123_i64, high, Some(failure));
    Counters::decode(&rmp_serde::to_vec(&stored).unwrap()).unwrap()
}

/// Returns the counters of a job that failed 16 times: its attempts are the first and last seven.
fn counters_with_attempts() -> Counters {
    (0..16).fold(full_counters(), |counters, number| {
        let now = Timestamp::from_millis(1_700_000_000_200 + number);
        let took = Duration::from_millis(90 + number.unsigned_abs());
        let facts = Facts { now, took, node: "a1b2c3d4e5f6:17:0123456789ab", jitter: 0.0 };
        counters.failed(Failure::new(Cause::Error, format!("user {number} not found")), facts)
    })
}

/// Returns the record of a rescue.
fn journal_record() -> JournalRecord {
    let mut record = JournalRecord::new(JournalEvent::Rescued).node("host:7:a").partition("mail.3");
    record.by = "host:8:b".into();
    record.job("01936b2e-7c5b-7000-8000-00000000002a").count(4).detail("lane normal")
}

/// Returns the record of the end of a change.
fn audit_record() -> AuditRecord {
    let actor = Actor::new("ann").via("dashboard").reason("incident 7");
    let mut record = AuditRecord::new(&actor, "jobs.revive", "mail", "dead jobs, kind=a");
    (record.outcome, record.changed, record.ms) = (AuditOutcome::Done, 41, 1_204);
    record.begun = "1764503000123-0".parse().ok();
    record
}

/// Returns the mute of an error with all its conditions.
fn error_mute() -> Mute {
    let at = Timestamp::from_millis;
    let mute = Mute::new(at(1_764_503_000_123), at(1_764_589_400_123));
    let mut mute = mute.by(&Actor::new("ann").reason("incident 7"));
    (mute.until_deploy, mute.at_most) = (true, Some(100));
    mute
}

/// Returns the counts of a kind in a frame of the history.
fn history_counts() -> Counts {
    let mut sums = KindSums::default();
    for (end, micros) in AttemptEnd::ALL.into_iter().zip((0..).map(|at| 1_u64 << (4 * at))) {
        sums.add_attempt(end, end.is_timed().then_some(micros));
        sums.add_wait(1_000 * micros);
    }
    sums.add_death();
    Counts::of(&sums)
}

/// Returns counters of a job whose id is derived from a name, and which has failed.
fn counters_of_a_name() -> Counters {
    counters_with_attempts().of_generation(Timestamp::from_millis(1_700_000_000_007))
}

/// Returns counters to which a later version added an entry of the map and an eighth element, and
/// which have failed again since.
fn later_counters() -> Counters {
    let mut stored = full_counters().encode();
    stored[0] = 0x98;
    stored.extend(b"\x81\xa2zz\xcd\0\x07\x92\xc3\xa3new");
    let facts = Facts::at(Timestamp::from_millis(1_700_000_000_456));
    Counters::decode(&stored).unwrap().failed(Failure::new(Cause::Error, "no"), facts)
}

/// The counters of a job that has met a limit twice in a row.
fn limited_counters() -> Counters {
    Counters::starting_in(Lane::High).met_limit().met_limit()
}

/// A job with a policy and headers.
fn headers_envelope() -> Envelope {
    let headers = Headers::new().with("tenant", "acme").with("request.id", "7 ✓").with("a", "");
    full_envelope().with_headers(&headers).unwrap()
}

/// A job with a policy that belongs to a trace.
fn trace_envelope() -> Envelope {
    let text = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    full_envelope().with_trace_parent(text.parse().unwrap()).unwrap()
}

/// A job with a policy that is unique by a part of its payload.
fn unique_envelope() -> Envelope {
    let rule = Unique::until_start().by(&("acme", 7)).hold_for(Duration::from_secs(3600));
    full_envelope().made_unique(&rule).unwrap()
}

/// A job of which one more waits behind the first.
fn keep_last_envelope() -> Envelope {
    plain_envelope().made_unique(&Unique::keep_last().across_kinds()).unwrap()
}

/// A job with a policy that does not start after a moment.
fn expires_at_envelope() -> Envelope {
    full_envelope().expiring_at(Timestamp::from_millis(1_700_000_600_123)).unwrap()
}

/// The job of a schedule with a policy, which starts within ten minutes of its publishing.
fn expires_in_envelope() -> Envelope {
    full_envelope().expiring_in(Duration::from_secs(600)).unwrap()
}

/// Returns the counters of a job of a name that expires, of which an attempt has begun.
fn begun_counters() -> Counters {
    counters_of_a_name().begun()
}

/// Returns an envelope to which a later version added options that may be ignored and one that must
/// be understood.
fn later_envelope() -> Envelope {
    let mut raw = [&[1, 1][..], &[0xfe; 16], b"\x04mail"].concat();
    let options = b"\x84\xa1a\x05\xa2zz\xcd\0\x07\xa1Z\x81\xa1n\xc4\x01x\xa1t\x00";
    raw.extend(u16::try_from(options.len()).unwrap().to_be_bytes());
    raw.extend(options);
    Envelope::parse(raw).unwrap().with_payload(Format::Json, b"{\"user\":7}").unwrap()
}

/// Returns every form of a handle, one per line.
fn handles() -> String {
    let new = Handle::new(QueueName::new("a.b").unwrap(), JobId::from_bytes([0xfe; 16]));
    let at = Timestamp::from_millis(1_700_000_000_123);
    let entry: EntryId = "1700000000123-7".into();
    let lanes = Lane::ALL.map(|lane| Some(Place::Entry(lane, entry.clone())));
    let group = Some(Place::Group("a/b".into(), 1_000_000_007));
    let places = [None, Some(Place::Due(at)), Some(Place::Dead), group];
    let places = places.into_iter().chain(lanes);
    let handles = places.map(|place| Handle { place, ..new.clone() });
    handles.map(|handle| format!("{handle}\n")).collect()
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
        ("envelope.headers", headers_envelope()),
        ("envelope.trace", trace_envelope()),
        ("envelope.unique", unique_envelope()),
        ("envelope.keep_last", keep_last_envelope()),
        ("envelope.expires_at", expires_at_envelope()),
        ("envelope.expires_in", expires_in_envelope()),
    ] {
        let read = Envelope::parse(frozen(name)).unwrap();
        assert_eq!(read, was, "{name}");
        assert_eq!((read.policy(), read.headers()), (was.policy(), was.headers()), "{name}");
        assert_eq!(read.trace_parent(), was.trace_parent(), "{name}");
        assert_eq!(read.unique(), was.unique(), "{name}");
        assert_eq!((read.expires_at(), read.expires_in()), (was.expires_at(), was.expires_in()));
    }
    let mute: Mute = serde_json::from_slice(&frozen("error.mute")).unwrap();
    assert_eq!(mute, error_mute());
    let fresh = Counters::decode(&frozen("counters.fresh")).unwrap();
    assert_eq!((fresh.home(), fresh.lane(), fresh.is_suspect()), (Lane::Low, Lane::Low, false));
    let begun = Counters::decode(&frozen("counters.begun")).unwrap();
    assert_eq!((begun.has_begun(), &begun), (true, &begun_counters()));
    let full = Counters::decode(&frozen("counters.full")).unwrap();
    assert_eq!((&full, full.home()), (&full_counters(), Lane::High));
    assert_eq!(full.first_failed(), Some(Timestamp::from_millis(1_700_000_000_123)));
    let (lane, counters, envelope) = read_waiting(&frozen("waiting.retry")).unwrap();
    assert_eq!((lane, counters, envelope), (Lane::Suspect, full_counters(), full_envelope()));
    let job = read_dead(frozen("dead.job"));
    assert_eq!((job.envelope, job.counters), (Ok(full_envelope()), full_counters()));
    assert_eq!(job.death.failure.to_string(), "crash: node n1 died while it ran (crash 3)");
    let (finish, lane, counters, job) = read_finished(&frozen("finished.job")).unwrap();
    assert_eq!((finish.reason.as_deref(), finish.took), (Some("not today"), 1_234));
    assert_eq!((lane, counters, job), (Lane::Low, full_counters(), json_envelope()));
    let raw = read_dead(frozen("dead.raw"));
    assert_eq!((raw.envelope, raw.death.raw), (Err(b"x\0y".to_vec()), true));
}

#[test]
fn golden_files_of_later_versions_are_kept_whole() {
    let frozen = |name: &str| std::fs::read(folder().join(format!("{name}.bin"))).unwrap();
    let counters = Counters::decode(&frozen("counters.later")).unwrap();
    assert_eq!((&counters, counters.failures), (&later_counters(), 301));
    assert_eq!(counters.encode(), frozen("counters.later"));
    let attempts = Counters::decode(&frozen("counters.attempts")).unwrap().attempts();
    let numbers: Vec<i64> = attempts.iter().map(|it| it.at.millis() - 1_700_000_000_200).collect();
    assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 9, 10, 11, 12, 13, 14, 15]);
    assert!(attempts.iter().all(|it| it.fingerprint == attempts[0].fingerprint));
    assert_eq!(attempts[0].node, "a1b2c3d4e5f6:17:01234567");
    let envelope = Envelope::parse(frozen("envelope.later")).unwrap();
    assert_eq!((envelope.policy().attempts, envelope.unknown_requirement()), (5, Some("Z")));
    let text = String::from_utf8(frozen("handles")).unwrap();
    for line in text.lines() {
        assert_eq!(line.parse::<Handle>().unwrap().to_string(), line);
    }
}
