//! The values that a question asks for.

use poolder_core::Timestamp;

use crate::request::{Context, Fault, Fields};

/// A field of a question.
#[derive(Debug, Clone, Default)]
pub(crate) struct Input {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    /// The type of the field in HTML; `textarea` for several lines, `select` for a choice.
    pub(crate) kind: &'static str,
    pub(crate) value: String,
    /// A line below the field that says how to write it.
    pub(crate) hint: String,
    /// The values among which a `select` chooses, and whether each is the present one.
    pub(crate) choices: Vec<(&'static str, bool)>,
    pub(crate) required: bool,
}

impl Input {
    pub(in crate::page) fn new(
        name: &'static str,
        label: &'static str,
        kind: &'static str,
    ) -> Self {
        Self { name, label, kind, ..Self::default() }
    }

    pub(in crate::page) fn value(self, value: impl Into<String>) -> Self {
        Self { value: value.into(), ..self }
    }

    pub(in crate::page) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }

    /// Sets the values among which a `select` chooses.
    pub(in crate::page) fn choices(self, choices: &[&'static str]) -> Self {
        let choices = choices.iter().map(|choice| (*choice, *choice == self.value)).collect();
        Self { choices, ..self }
    }

    pub(in crate::page) fn required(self) -> Self {
        Self { required: true, ..self }
    }
}

/// Returns the fields for a time: a span from now, or a moment.
pub(in crate::page) fn time(fields: &Fields) -> Vec<Input> {
    let hint = "such as 90s, 10m or 2h 30m";
    vec![
        Input::new("in", "In", "text").value(fields.get("in")).hint(hint),
        Input::new("at", "Or at, in UTC", "datetime-local").value(fields.get("at")),
    ]
}

/// Reads the time of the fields, by the server's clock; `None` when neither is given.
pub(in crate::page) async fn read_time(
    context: &Context,
    fields: &Fields,
) -> Result<Option<Timestamp>, Fault> {
    match (fields.get("in"), fields.get("at")) {
        ("", "") => Ok(None),
        ("", at) => moment(at).map(Some),
        (span, "") => {
            let span = poolder_cron::span(span).map_err(|why| {
                Fault::invalid(format!("{span:?} is no time: {why}, such as 90s or 2h 30m."))
            })?;
            Ok(Some(context.shared.client.time().await? + span))
        }
        _ => Err(Fault::invalid("Give a time from now, or a moment, but not both.")),
    }
}

/// Reads a moment in UTC, as a browser sends it, or in the form of RFC 3339.
pub(in crate::page) fn moment(text: &str) -> Result<Timestamp, Fault> {
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
