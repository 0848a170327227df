//! What schedules do when clocks change, in every zone and at every change since 1970: against
//! croner, which follows Debian's cron too, and against a model that looks at every minute.

use std::collections::BTreeSet;
use std::sync::OnceLock;

use chrono::{DateTime, NaiveDateTime, Offset, TimeDelta, TimeZone, Timelike};
use chrono_tz::{TZ_VARIANTS, Tz};
use croner::Cron;
use poolder_cron::{Expression, Zone};

const HOUR: i64 = 3_600;

fn offset(zone: Tz, at: i64) -> i64 {
    let at = DateTime::from_timestamp(at, 0).unwrap().naive_utc();
    i64::from(zone.offset_from_utc_datetime(&at).fix().local_minus_utc())
}

/// A change of a zone's clock: the moment, the zone, and by how many seconds it jumps.
type Change = (i64, Tz, i64);

/// Every change of any zone's clock, each once though zones share many.
fn changes() -> &'static [Change] {
    static CHANGES: OnceLock<Vec<Change>> = OnceLock::new();
    CHANGES.get_or_init(find_changes)
}

fn find_changes() -> Vec<Change> {
    let mut seen = BTreeSet::new();
    let mut found = vec![];
    for zone in TZ_VARIANTS {
        let mut at = 0;
        let mut before = offset(zone, at);
        // No zone has changed its clocks twice within a day.
        while at < 2_145_916_800 {
            let next = at + 24 * HOUR;
            let after = offset(zone, next);
            if after != before {
                let (mut low, mut high) = (at, next);
                while high - low > 1 {
                    let middle = low + (high - low) / 2;
                    if offset(zone, middle) == before { low = middle } else { high = middle }
                }
                if seen.insert((high, before, after)) && agree(zone, high) {
                    found.push((high, zone, after - before));
                }
            }
            (at, before) = (next, after);
        }
    }
    assert!(found.len() > 2_000, "{} changes", found.len());
    found
}

/// Returns true when the zone data of Poolder and of croner, which may be of different years, say the
/// same about the days around a moment.
fn agree(zone: Tz, at: i64) -> bool {
    let ours: Zone = zone.name().parse().unwrap();
    (-12..=12).map(|n| at + n * 6 * HOUR).all(|at| {
        let theirs = DateTime::from_timestamp(at, 0).unwrap().with_timezone(&zone);
        ours.offset(at * 1000) == theirs.offset().fix().to_string()
    })
}

fn ours(text: &str, zone: Tz, from: i64, to: i64) -> Vec<i64> {
    let expression: Expression = text.parse().unwrap();
    let zone: Zone = zone.name().parse().unwrap();
    let mut found = vec![];
    let mut at = from * 1000;
    while let Some(next) = expression.next(zone, at) {
        assert!(next > at, "{text} in {zone}: {next} after {at}");
        if next > to * 1000 {
            break;
        }
        found.push(next / 1000);
        at = next;
    }
    found
}

fn croners(text: &str, zone: Tz, from: i64, to: i64) -> Vec<i64> {
    let cron: Cron = text.parse().unwrap();
    let mut found = vec![];
    let mut at = zone.timestamp_opt(from, 0).unwrap();
    while let Ok(next) = cron.find_next_occurrence(&at, false) {
        if next.timestamp() > to || next <= at {
            break;
        }
        found.push(next.timestamp());
        at = next;
    }
    found
}

/// What the clock showed just before a change, and by how much it jumped.
fn shown_before(at: i64, zone: Tz) -> NaiveDateTime {
    zone.timestamp_opt(at - 1, 0).unwrap().naive_local() + TimeDelta::seconds(1)
}

/// A day on either side is enough: no clock has jumped further.
fn around(at: i64) -> (i64, i64) {
    (at - 25 * HOUR, at + 25 * HOUR)
}

#[test]
fn fixed_times_run_once_a_day_as_in_croner() {
    let (mut compared, mut different) = (0, vec![]);
    // Croner gives up at a gap of three hours; see below for those.
    for &(at, zone, jump) in changes().iter().filter(|change| change.2 < 3 * HOUR) {
        let edge = shown_before(at, zone);
        // Wall clock times before, in and after the gap or fold.
        for part in [-1, 0, 15, 60, 90] {
            let minutes = if jump < 0 { -part } else { part };
            let time = edge + TimeDelta::minutes(minutes);
            let text = format!("{} {} {} * * *", time.second(), time.minute(), time.hour());
            let (from, to) = (at - 3 * HOUR, at + 25 * HOUR);
            let (mine, others) = (ours(&text, zone, from, to), croners(&text, zone, from, to));
            compared += 1;
            if mine != others {
                different.push(format!("{zone} {at} {jump} {text:?}: {mine:?} / {others:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} of {compared}: {different:#?}", different.len());
}

#[test]
fn wildcards_run_at_every_instant_as_in_croner() {
    let (mut compared, mut different) = (0, vec![]);
    for &(at, zone, jump) in changes() {
        let edge = shown_before(at, zone);
        let texts = [
            "0 0 * * * *".to_owned(),
            "0 */45 * * * *".to_owned(),
            format!("0 */15 {} * * *", edge.hour()),
            format!("0 */15 {} * * *", (edge - TimeDelta::hours(1)).hour()),
        ];
        for text in texts {
            let (from, to) = (at - 2 * HOUR, at + 2 * HOUR);
            let (mine, others) = (ours(&text, zone, from, to), croners(&text, zone, from, to));
            compared += 1;
            if mine != others {
                different.push(format!("{zone} {at} {jump} {text:?}: {mine:?} / {others:?}"));
            }
        }
    }
    assert!(different.is_empty(), "{} of {compared}: {different:#?}", different.len());
}

/// The instants of a fixed list of times by the rule itself: each wall clock time of those days,
/// at its first showing, or at the end of the gap that swallows it.
fn by_the_rule(hours: [u32; 2], minutes: [u32; 2], zone: Tz, from: i64, to: i64) -> Vec<i64> {
    let mut found = BTreeSet::new();
    let first = zone.timestamp_opt(from, 0).unwrap().naive_local() - TimeDelta::hours(48);
    let start = first.date().and_hms_opt(0, 0, 0).unwrap();
    for minute in 0..(7 * 24 * 60) {
        let local = start + TimeDelta::minutes(minute);
        if !hours.contains(&local.hour()) || !minutes.contains(&local.minute()) {
            continue;
        }
        let mut seconds = 0;
        let instant = loop {
            let local = local + TimeDelta::seconds(seconds);
            match zone.from_local_datetime(&local).earliest() {
                Some(instant) => break instant.timestamp(),
                None => seconds += 1,
            }
        };
        if instant > from && instant <= to {
            found.insert(instant);
        }
    }
    found.into_iter().collect()
}

#[test]
fn lists_of_fixed_times_follow_the_rule() {
    // The model is slow: every gap that croner cannot take, and some of the others.
    for (at, zone, jump) in
        changes().iter().copied().filter(|change| change.0 % 7 == 0 || change.2 >= 3 * HOUR)
    {
        let edge = shown_before(at, zone);
        let other = (edge + TimeDelta::seconds(jump / 2)).hour();
        let (hours, minutes) = ([edge.hour(), other], [10, 50]);
        let text = format!("10,50 {},{other} * * *", edge.hour());
        let (from, to) = around(at);
        let model = by_the_rule(hours, minutes, zone, from, to);
        assert_eq!(ours(&text, zone, from, to), model, "{zone} {at} {jump} {text:?}");
    }
}

#[test]
fn starting_from_any_moment_gives_the_same_next() {
    for (zone, at) in [
        (Tz::Europe__Berlin, 1_774_746_000),
        (Tz::Europe__Berlin, 1_792_890_000),
        (Tz::America__New_York, 1_793_512_800),
        (Tz::Australia__Lord_Howe, 1_775_314_800),
    ] {
        for text in ["*/10 * * * *", "30 2 * * *", "0 30 1 * * *", "15,45 1-2 * * *"] {
            let all = ours(text, zone, at - 6 * HOUR, at + 30 * HOUR);
            let expression: Expression = text.parse().unwrap();
            let name: Zone = zone.name().parse().unwrap();
            for minute in -300..300 {
                let from = at + minute * 60 + 7;
                let next = expression.next(name, from * 1000 + 1).map(|ms| ms / 1000);
                assert_eq!(next, all.iter().copied().find(|tick| *tick > from), "{text} {from}");
            }
        }
    }
}
