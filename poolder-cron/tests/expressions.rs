//! Which texts are expressions, what they mean, and what is said about those that are not.

use chrono::{DateTime, Utc};
use poolder_cron::{Timing, Zone};

/// The next moments after the start of Thursday, 2026-01-01.
fn next(text: &str, count: usize) -> Vec<String> {
    let timing: Timing = text.parse().unwrap();
    let mut at = DateTime::parse_from_rfc3339("2026-01-01T00:00:00Z").unwrap().timestamp_millis();
    let origin = at;
    (0..count)
        .map_while(|_| {
            at = timing.next(Zone::UTC, origin, at)?;
            let shown: DateTime<Utc> = DateTime::from_timestamp_millis(at)?;
            Some(shown.format("%a %Y-%m-%d %H:%M:%S").to_string())
        })
        .collect()
}

#[test]
fn five_six_and_seven_fields() {
    assert_eq!(next("30 4 * * *", 2), ["Thu 2026-01-01 04:30:00", "Fri 2026-01-02 04:30:00"]);
    assert_eq!(next("15 30 4 * * *", 1), ["Thu 2026-01-01 04:30:15"]);
    assert_eq!(next("*/20 * * * * *", 3)[2], "Thu 2026-01-01 00:01:00");
    assert_eq!(
        next("0 0 0 1 1 * 2027,2029", 3),
        ["Fri 2027-01-01 00:00:00", "Mon 2029-01-01 00:00:00"]
    );
    assert_eq!(next("  0   5 *  * ? ", 1), ["Thu 2026-01-01 05:00:00"]);
}

#[test]
fn weekdays_are_those_of_crontab() {
    let day = |text: &str| next(text, 1)[0][..3].to_owned();
    for (number, name) in
        ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].into_iter().enumerate()
    {
        assert_eq!(day(&format!("0 9 * * {number}")), name);
        assert_eq!(day(&format!("0 9 * * {}", name.to_lowercase())), name);
        assert_eq!(day(&format!("0 0 9 * * {number}")), name, "with seconds too");
    }
    let days = |text: &str| next(text, 7).iter().map(|t| t[..3].to_owned()).collect::<Vec<_>>();
    assert_eq!(days("0 9 * * 1-5")[..5], ["Thu", "Fri", "Mon", "Tue", "Wed"]);
    assert_eq!(days("0 9 * * Mon-Friday/2")[..3], ["Fri", "Mon", "Wed"]);
    assert_eq!(days("0 9 * * Fri-Sun")[..3], ["Fri", "Sat", "Sun"]);
    assert_eq!(days("0 9 * * 5-7")[..3], ["Fri", "Sat", "Sun"]);
    assert_eq!(days("0 9 * * */2")[..4], ["Thu", "Sat", "Sun", "Tue"]);
}

#[test]
fn a_day_matches_by_its_number_or_its_weekday_unless_one_has_a_star() {
    let days = |text: &str| next(text, 4).iter().map(|t| t[..14].to_owned()).collect::<Vec<_>>();
    assert_eq!(
        days("0 0 13 * Fri"),
        ["Fri 2026-01-02", "Fri 2026-01-09", "Tue 2026-01-13", "Fri 2026-01-16"]
    );
    assert_eq!(days("0 0 13 * *")[..2], ["Tue 2026-01-13", "Fri 2026-02-13"]);
    // Debian: a star in front restricts nothing, so that both must match.
    assert_eq!(days("0 0 */2 * Fri")[..2], ["Fri 2026-01-09", "Fri 2026-01-23"]);
}

#[test]
fn names_steps_and_macros() {
    assert_eq!(next("0 0 1 jan,July *", 2)[0], "Wed 2026-07-01 00:00:00");
    assert_eq!(next("0 10/5 * * *", 2), ["Thu 2026-01-01 10:00:00", "Thu 2026-01-01 15:00:00"]);
    assert_eq!(next("5-59/20 * * * *", 3)[2], "Thu 2026-01-01 00:45:00");
    assert_eq!(next("@hourly", 1), ["Thu 2026-01-01 01:00:00"]);
    assert_eq!(next("@daily", 1), ["Fri 2026-01-02 00:00:00"]);
    assert_eq!(next("@Midnight", 1), ["Fri 2026-01-02 00:00:00"]);
    assert_eq!(next("@weekly", 1), ["Sun 2026-01-04 00:00:00"]);
    assert_eq!(next("@monthly", 1), ["Sun 2026-02-01 00:00:00"]);
    assert_eq!(next("@yearly", 1), ["Fri 2027-01-01 00:00:00"]);
    assert_eq!(next("@annually", 1), ["Fri 2027-01-01 00:00:00"]);
    assert_eq!(next("0 0 29 2 *", 2), ["Tue 2028-02-29 00:00:00", "Sun 2032-02-29 00:00:00"]);
}

#[test]
fn intervals_count_from_their_origin() {
    assert_eq!(next("90s", 2), ["Thu 2026-01-01 00:01:30", "Thu 2026-01-01 00:03:00"]);
    assert_eq!(next("1h 30m", 1), ["Thu 2026-01-01 01:30:00"]);
    assert_eq!(next("@every 1d", 1), ["Fri 2026-01-02 00:00:00"]);
    let timing: Timing = "100ms".parse().unwrap();
    // Whatever was missed, ticks stay on the grid.
    assert_eq!(timing.next(Zone::UTC, 5, 5), Some(105));
    assert_eq!(timing.next(Zone::UTC, 5, 1_004), Some(1_005));
    assert_eq!(timing.next(Zone::UTC, 5, 1_005), Some(1_105));
    assert_eq!(timing.next(Zone::UTC, 5, 0), Some(105), "the origin itself is no tick");
    assert_eq!(timing.next(Zone::UTC, 5, i64::MAX), None);
}

#[test]
fn what_is_shown_is_read_back_as_the_same() {
    for text in ["90s", "2h", "1500ms", "1d", "*/5 * * * Mon-Fri", "@daily", "0 0 12 1 * * 2030"] {
        let timing: Timing = text.parse().unwrap();
        assert_eq!(timing.to_string().parse::<Timing>().unwrap(), timing);
    }
}

#[test]
fn what_is_wrong_is_said() {
    for (text, why) in [
        ("", "it is empty"),
        ("* * * *", "it has 4 fields; write 5"),
        ("* * * * * * * *", "it has 8 fields"),
        ("60 * * * *", "minute: 60 is not between 0 and 59"),
        ("* 24 * * *", "hour: 24 is not between 0 and 23"),
        ("* * 0 * *", "day of month: 0 is not between 1 and 31"),
        ("* * * 13 *", "month: 13 is not between 1 and 12"),
        ("* * * * 8", "weekday: 8 is not between 0 and 7"),
        ("* * * * Mun", "weekday: \"Mun\" is no number from 0 to 7 or a name such as sun"),
        ("* * * * * * 1969", "year: 1969 is not between 1970 and 2100"),
        ("*/0 * * * *", "minute: the step \"0\" is no number from 1 to 59"),
        ("* 22-2 * * *", "runs backwards: split it, as in 22-23,0-2"),
        ("1,,2 * * * *", "minute: a number is missing"),
        ("1- * * * *", "minute: a number is missing"),
        ("* * L * *", "L, W and # are not supported"),
        ("* * * * 5#2", "L, W and # are not supported"),
        ("* * 15W * *", "L, W and # are not supported"),
        ("? * * * *", "minute: \"?\" is no number"),
        ("-5 * * * *", "minute: a number is missing"),
        ("0 0 30 2 *", "it never fires, since no year has such a day"),
        ("0 0 31 4,6,9,11 *", "never fires"),
        ("0 0 0 29 2 * 2027", "never fires"),
        ("@reboot", "use @yearly"),
        ("@daily 5", "stands alone"),
        ("@every", "is no interval: the text is empty"),
        ("@every 5 minutes", "\"5 minutes\" is no interval: a unit is missing after 5"),
        ("0s", "too short: use 10ms or more"),
        ("9ms", "too short"),
        ("5000", "has no unit: write an interval such as \"5000ms\""),
        ("36501d", "longer than 100 years"),
        ("hello", "it has 1 fields"),
        ("99999999999999999999 * * * *", "is not between 0 and 59"),
    ] {
        let error = text.parse::<Timing>().expect_err(text).to_string();
        assert!(error.contains(why), "{text:?}: {error}");
    }
    let long = format!("{} * * * *", "1,".repeat(400));
    assert!(long.parse::<Timing>().unwrap_err().to_string().contains("longer than 512"));
    let error = "Europe/Berln".parse::<Zone>().unwrap_err().to_string();
    assert!(error.contains("\"Europe/Berln\" is no time zone"), "{error}");
    assert_eq!("europe/berlin".parse::<Zone>().unwrap().to_string(), "Europe/Berlin");
}

#[test]
fn no_text_makes_it_panic() {
    // Mutations of good texts: each is read or refused, and what is read can be asked.
    let good = ["*/5 1-3,7 * jan-mar Mon#", "0 0 12 29 2 ? 2028", "@every 1h30m", "90s", "@daily"];
    let other = "0123456789*/,-?#LW@ äsmhd\u{0}";
    let mut seed = 42_u64;
    let mut random = |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(seed >> 33).unwrap() % below
    };
    for _ in 0..20_000 {
        let mut text: Vec<char> = good[random(good.len())].chars().collect();
        for _ in 0..=random(3) {
            let (at, new) = (random(text.len()), other.chars().nth(random(25)).unwrap());
            text[at] = new;
        }
        let text: String = text.into_iter().collect();
        if let Ok(timing) = text.parse::<Timing>() {
            let at = 1_767_225_600_000;
            assert!(timing.next(Zone::UTC, at, at).is_none_or(|next| next > at), "{text}");
        }
    }
}

#[test]
fn a_sunday_written_as_seven_is_never_another_day() {
    for text in [
        "0 0 * * 7/2",
        "0 0 * * 7/1",
        "0 0 13 * 7/7",
        "0 0 * * 7/2,1",
        "0 0 0 * * 7/3 2030",
        "0 0 * * 7-2",
        "0 0 * * 7-7/2,7/1",
    ] {
        let error = text.parse::<Timing>().unwrap_err().to_string();
        assert!(error.contains("Sunday") && error.contains("write"), "{text}: {error}");
    }
    let advice = "0 0 * * 7-2".parse::<Timing>().unwrap_err().to_string();
    assert!(advice.contains("write 0-2"), "{advice}");
    assert_eq!(next("0 0 * * 7-7", 1), ["Sun 2026-01-04 00:00:00"]);
    assert_eq!(next("0 0 * * 7,1", 2), ["Sun 2026-01-04 00:00:00", "Mon 2026-01-05 00:00:00"]);
    assert_eq!(next("0 0 * * 6-7/1", 2)[1], "Sun 2026-01-04 00:00:00");
}

#[test]
fn an_interval_stands_apart_from_its_macro() {
    let error = "@every90s".parse::<Timing>().unwrap_err().to_string();
    assert!(error.contains("a space after @every"), "{error}");
    assert_eq!(next("@every 90s", 1), ["Thu 2026-01-01 00:01:30"]);
    assert_eq!(next("@every\t90s", 1), ["Thu 2026-01-01 00:01:30"]);
}

#[test]
fn an_interval_fires_before_an_origin_that_lies_far_in_the_future() {
    let every: Timing = "10s".parse().unwrap();
    let next = |after| every.next(Zone::UTC, 10_000_003, after).unwrap();
    assert_eq!([next(3), next(4), next(10_002)], [10_003, 10_003, 10_003]);
    assert_eq!(next(9_999_999), 10_010_003, "an origin that is near is no tick");
}
