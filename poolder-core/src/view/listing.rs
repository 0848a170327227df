//! The listings of a queue.

use std::fmt;
use std::str::FromStr;

use crate::job::{Error, deserialize_from_text, serialize_as_text};

/// A listing of the jobs of a queue. As text: `ready`, `running`, `due`, `scheduled`, `retrying`,
/// `dead`, `finished`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Listing {
    /// The jobs that wait for a free slot, lane by lane, in each lane in the order in which they
    /// will start.
    Ready,
    /// The jobs that nodes have claimed, lane by lane, in the order in which they entered the lane.
    Running,
    /// The jobs that wait for their time or for another attempt, the next one first.
    Due,
    /// The jobs of `Due` that wait for their first attempt.
    Scheduled,
    /// The jobs of `Due` that wait for another attempt.
    Retrying,
    /// The dead jobs, the last to die first.
    Dead,
    /// The jobs that are done or cancelled, the last to end first, as far as their pool keeps them.
    Finished,
}

serialize_as_text! { Listing }
deserialize_from_text! { Listing }

impl Listing {
    /// All listings.
    pub const ALL: [Self; 7] = [
        Self::Ready,
        Self::Running,
        Self::Due,
        Self::Scheduled,
        Self::Retrying,
        Self::Dead,
        Self::Finished,
    ];

    /// Returns the name of the listing.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Running => "running",
            Self::Due => "due",
            Self::Scheduled => "scheduled",
            Self::Retrying => "retrying",
            Self::Dead => "dead",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Listing {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Self::ALL.into_iter().find(|listing| listing.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str).join(", ");
            Error::invalid(format!("{text:?} is no listing: use one of {names}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listing_survives_being_text() {
        for listing in Listing::ALL {
            assert_eq!(listing.to_string().parse::<Listing>().unwrap(), listing);
        }
        let wrong = "done".parse::<Listing>().unwrap_err();
        assert!(wrong.is_invalid() && wrong.to_string().contains("retrying"), "{wrong}");
    }
}
