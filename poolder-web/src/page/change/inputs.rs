//! The values that a question asks for.

use poolder_core::Timestamp;

use crate::request::{Context, Fault, Fields, moment};

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
