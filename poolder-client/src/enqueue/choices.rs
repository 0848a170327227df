//! Options of a job that is sent, of which its type may have one as well.

use std::time::Duration;

use poolder_core::{Envelope, Error, Timestamp, Unique};

/// The rule by which a job is unique.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) enum UniqueChoice {
    /// That of its type, or none.
    #[default]
    OfType,
    /// None, also if its type has one.
    Not,
    /// This one.
    Rule(Unique),
}

impl UniqueChoice {
    /// Returns the rule for a job whose type has this one.
    pub(crate) fn rule(&self, of_type: impl FnOnce() -> Option<Unique>) -> Option<Unique> {
        match self {
            Self::OfType => of_type(),
            Self::Not => None,
            Self::Rule(rule) => Some(rule.clone()),
        }
    }
}

/// The time after which a job does not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ExpiryChoice {
    /// That of its type, or none.
    #[default]
    OfType,
    /// None, also if its type has one.
    Never,
    /// This long after it is ready.
    In(Duration),
    /// This moment.
    At(Timestamp),
}

impl ExpiryChoice {
    /// Returns the choice of a time to start within; `None` stands for a job that does not expire.
    pub(crate) fn within(time: Option<Duration>) -> Self {
        time.map_or(Self::Never, Self::In)
    }

    /// Gives the time to a job whose type has this one.
    pub(crate) fn give(
        self,
        envelope: Envelope,
        of_type: impl FnOnce() -> Option<Duration>,
    ) -> Result<Envelope, Error> {
        let time = match self {
            Self::OfType => of_type(),
            Self::Never => None,
            Self::In(time) => Some(time),
            Self::At(at) => return envelope.expiring_at(at),
        };
        match time {
            Some(time) => envelope.expiring_in(time),
            None => Ok(envelope),
        }
    }
}
