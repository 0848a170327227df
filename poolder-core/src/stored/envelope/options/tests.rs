use super::*;
use crate::job::{Format, JobId, Unique};
use crate::stored::Envelope;
use crate::stored::table::{OPTIONS, RESERVED};

/// Returns an envelope with the options of `policy` and these entries of a later version.
pub(crate) fn with_entries(policy: &Policy, entries: &[&[u8]]) -> Envelope {
    let mut options = Options::of(1, (*policy != Policy::default()).then_some(policy));
    entries.iter().for_each(|entry| options.unknown.push(entry));
    let mut raw = [&[1, 0][..], &[7; 16], &[4], b"kind"].concat();
    let map = options.encode().unwrap();
    raw[1] |= HAS_OPTIONS;
    raw.extend(u16::try_from(map.len()).unwrap().to_be_bytes());
    raw.extend(map);
    raw.extend(b"\x81\xa1u\x07");
    Envelope::parse(raw).unwrap()
}

#[test]
fn known_names_are_those_that_are_written() {
    let key = Unique::until_done().key("k", b"").unwrap();
    let full = Options {
        group: Some("acme".into()),
        cost: Some(7),
        version: Some(2),
        attempts: Some(1),
        backoff: Some(StoredBackoff::Fixed(1)),
        timeout: Some(1),
        retry_for: Some(1),
        crashes: Some(2),
        completion_kept: Some(1),
        tick: Some(Tick::new("n", crate::job::Timestamp::from_millis(1), true)),
        call: Some(true),
        key: Some(1),
        headers: Headers::new().with("n", "v"),
        trace_parent: TraceParent::new([1; 16], [2; 8], 1),
        expires_at: Some(1),
        expires_in: Some(1),
        unique: Some(StoredUnique::of(&Unique::until_done(), key)),
        ..Options::default()
    };
    let map = full.encode().unwrap();
    let mut entries = Items::new(Form::Map, &map).unwrap();
    let written: Vec<&str> = (0..KNOWN.len()).map(|_| entries.entry().unwrap().key).collect();
    assert!(entries.end().is_ok());
    assert_eq!(written, KNOWN.map(|(name, _)| name));
    let rows = OPTIONS.iter().filter(|row| row.3 != RESERVED).map(|row| row.0);
    assert_eq!(written, rows.collect::<Vec<_>>());
    assert_eq!(Options::read(&map).unwrap(), full);
}

#[test]
fn an_option_that_begins_with_a_capital_must_be_understood() {
    let of = |entries: &[&[u8]]| with_entries(&Policy::default(), entries);
    assert_eq!(of(&[b"\xa2zz\x01"]).unknown_requirement(), None);
    let several = of(&[b"\xa2zz\x01", b"\xa1Z\xc0", b"\xa1Y\x07"]);
    assert_eq!(several.unknown_requirement(), Some("Z"));
    // The form of an option that a later version has written.
    let later = of(&[b"\xa1U\xc4\x02\x09\x09"]);
    assert_eq!((later.unknown_requirement(), later.unique()), (Some("U"), None));
    let changed = later.with_policy(&Policy::default().attempts(3)).unwrap();
    assert_eq!(changed.unknown_requirement(), Some("U"), "it survives a change");
    assert_eq!(of(&[b"\xa1F\x91\x01"]).unknown_requirement(), Some("F"));
}

#[test]
fn options_that_are_no_map_of_named_settings_are_corrupt() {
    let bad: [&[u8]; 8] = [
        b"",
        b"\x91\x01",
        b"\x82\xa1a\x05\xa1a\x06",
        b"\x81\x01\x05",
        b"\x81\xc4\x01a\x05",
        b"\x81\xa1a\x05\x00",
        b"\xdf\xff\xff\xff\xff\xa1a\x05",
        b"\x81\xa1z\x91\x91\x91\x91\x91\x91\x91\x91\x91\xc0",
    ];
    for map in bad {
        assert!(Options::read(map).is_err_and(|error| error.is_codec()), "{map:?}");
    }
}

#[test]
fn durations_that_another_writer_stored_are_ten_years_at_most() {
    let most = clamped_millis(Duration::MAX).unsigned_abs();
    let forged = Options {
        backoff: Some(StoredBackoff::Exponential(u64::MAX, u64::MAX)),
        timeout: Some(u64::MAX),
        retry_for: Some(u64::MAX),
        ..Options::default()
    };
    let ten_years = Duration::from_millis(most);
    let policy = Policy::default()
        .backoff(Backoff::Exponential { base: ten_years, cap: ten_years })
        .timeout(ten_years)
        .retry_for(ten_years);
    assert_eq!(forged.policy().as_ref(), Some(&policy));
    let asked = Policy::default()
        .backoff(Backoff::Exponential { base: Duration::MAX, cap: Duration::MAX })
        .timeout(Duration::MAX)
        .retry_for(Duration::MAX);
    assert_eq!(Options::of(1, Some(&asked)).timeout, Some(most));
    assert_eq!(Options::of(1, Some(&asked)).policy(), Some(policy));
}

#[test]
fn the_longest_list_of_waits_fits() {
    let policy = Policy::default().backoff(Backoff::List(vec![Duration::MAX; 64]));
    assert!(policy.check().is_ok());
    let write = |_: &mut Vec<u8>| Ok(());
    let id = JobId::from_bytes([7; 16]);
    let envelope = Envelope::build(id, "k", 9, Some(&policy), Format::Json, write).unwrap();
    assert!(envelope.as_bytes().len() < 700);
}
