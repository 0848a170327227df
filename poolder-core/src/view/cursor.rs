//! The position at which a page ended.

use std::fmt;
use std::str::FromStr;

use crate::job::{Error, Lane, deserialize_from_text, serialize_as_text};

/// The position at which a page ended and the next one begins. A cursor can be written as text for
/// a command line or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) After);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// After this entry of this lane; an empty id stands for the beginning of the lane.
    Entry(Lane, String),
    /// After this number of jobs (the second field) that have this time in ms (the first field).
    Time(i64, u64),
}

serialize_as_text! { Cursor }
deserialize_from_text! { Cursor }

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            After::Entry(lane, entry) => write!(f, "{lane}.{entry}"),
            After::Time(at, seen) => write!(f, "{at}.{seen}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            || Error::invalid(format!("{text:?} is not a cursor: use the cursor of a page"));
        let (place, rest) = text.split_once('.').ok_or_else(wrong)?;
        if let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.as_str() == place) {
            let legal = |c: char| c.is_ascii_digit() || c == '-';
            if !rest.chars().all(legal) {
                return Err(wrong());
            }
            return Ok(Self(After::Entry(lane, rest.to_owned())));
        }
        let numbers = place.parse().ok().zip(rest.parse().ok());
        let (at, seen) = numbers.ok_or_else(wrong)?;
        Ok(Self(After::Time(at, seen)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_text() {
        let places = [
            After::Entry(Lane::Low, "17-0".into()),
            After::Entry(Lane::High, String::new()),
            After::Time(1_700_000_000_000, 3),
        ];
        for place in places {
            let cursor = Cursor(place);
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for bad in ["", "7", "low.x", "a.1", "1.b"] {
            assert!(bad.parse::<Cursor>().is_err_and(|error| error.is_invalid()), "{bad}");
        }
    }
}
