//! The position at which a page ended.

use std::fmt;
use std::str::FromStr;

use crate::job::{Error, Lane, deserialize_from_text, serialize_as_text};

/// The position at which a page ended and the next one begins. A cursor can be written as text for
/// a command line or a URL. It holds all that is needed to go on: the server keeps nothing for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(pub(crate) After);

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum After {
    /// After this entry of this lane, in the partition of this number; an empty id stands for the
    /// beginning of the lane.
    Entry(Lane, String, u16),
    /// In the groups of a limited queue: at this place of the server's own order.
    Group(u64),
    /// After this number of jobs (the second field) that have this time in ms (the first field), in
    /// the partition of this number.
    Time(i64, u64, u16),
}

serialize_as_text! { Cursor }
deserialize_from_text! { Cursor }

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            After::Entry(lane, entry, 0) => write!(f, "{lane}.{entry}"),
            After::Entry(lane, entry, index) => write!(f, "{lane}.{entry}.{index}"),
            After::Group(cursor) => write!(f, "group.{cursor}"),
            After::Time(at, seen, 0) => write!(f, "{at}.{seen}"),
            After::Time(at, seen, index) => write!(f, "{at}.{seen}.{index}"),
        }
    }
}

impl FromStr for Cursor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong =
            || Error::invalid(format!("{text:?} is not a cursor: use the cursor of a page"));
        let (place, rest) = text.split_once('.').ok_or_else(wrong)?;
        if place == "group" {
            return Ok(Self(After::Group(rest.parse().map_err(|_| wrong())?)));
        }
        let (rest, index) = match rest.split_once('.') {
            Some((rest, index)) => (rest, index.parse().map_err(|_| wrong())?),
            None => (rest, 0),
        };
        if let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.as_str() == place) {
            if !rest.is_empty() && numbers(rest).is_none() {
                return Err(wrong());
            }
            return Ok(Self(After::Entry(lane, rest.to_owned(), index)));
        }
        let parsed = place.parse().ok().zip(rest.parse().ok());
        let (at, seen) = parsed.ok_or_else(wrong)?;
        Ok(Self(After::Time(at, seen, index)))
    }
}

/// Returns the two numbers of an entry id; `None` for another text.
pub(crate) fn numbers(entry: &str) -> Option<(u64, u64)> {
    let (millis, count) = entry.split_once('-')?;
    let number = |text: &str| text.parse().ok().filter(|_| !text.starts_with('+'));
    number(millis).zip(number(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_being_text() {
        let places = [
            After::Entry(Lane::Low, "17-0".into(), 0),
            After::Entry(Lane::Low, "17-0".into(), 63),
            After::Entry(Lane::High, String::new(), 0),
            After::Group(0),
            After::Group(u64::MAX),
            After::Time(1_700_000_000_000, 3, 0),
            After::Time(-5, 3, 9_999),
        ];
        for place in places {
            let cursor = Cursor(place);
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for bad in [
            "",
            "7",
            "low.x",
            "low.7",
            "low.+7-0",
            "low.1-2.x",
            "1.2.70000",
            "1.2.3.4",
            "a.1",
            "1.b",
            "group.x",
            "group.1.2",
        ] {
            assert!(bad.parse::<Cursor>().is_err_and(|error| error.is_invalid()), "{bad}");
        }
    }
}
