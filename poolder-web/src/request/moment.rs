//! Moments as forms write them.

use poolder_core::Timestamp;

use super::Fault;

/// Reads a moment in UTC, as a browser sends it, or in the form of RFC 3339.
pub(crate) fn moment(text: &str) -> Result<Timestamp, Fault> {
    let local = ["%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S"];
    let mut local =
        local.iter().filter_map(|form| chrono::NaiveDateTime::parse_from_str(text, form).ok());
    let utc = local.next().map(|time| time.and_utc().timestamp_millis());
    let zoned = || chrono::DateTime::parse_from_rfc3339(text).ok().map(|it| it.timestamp_millis());
    match utc.or_else(zoned) {
        Some(millis) => Ok(Timestamp::from_millis(millis)),
        None => {
            Err(Fault::invalid(format!("{text:?} is no moment: write 2026-12-01T08:00 in UTC.")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_those_of_browsers_and_of_rfc_3339() {
        let at = moment("2026-12-01T08:00").unwrap();
        for same in ["2026-12-01T08:00:00", "2026-12-01T08:00:00Z", "2026-12-01T09:00:00+01:00"] {
            assert_eq!(moment(same).unwrap(), at, "{same}");
        }
        for odd in ["", "tomorrow", "2026-13-01T08:00", "99999999-01-01T00:00"] {
            assert!(moment(odd).is_err(), "{odd}");
        }
    }
}
