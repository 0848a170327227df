//! Mutes of groups of equal errors.
//!
//! ```text
//! value   JSON object of a Mute
//! ```

use std::fmt;

use serde::{Deserialize, Serialize};

use super::audit::Actor;
use crate::job::Timestamp;

/// A mute of a group of equal errors: until it ends, the group is left out of what needs a person.
/// Its jobs are retried and die as before, and its errors are counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Mute {
    /// When it began, by the server's clock.
    pub since: Timestamp,
    /// When it ends at the latest.
    pub until: Timestamp,
    /// True when the first node of another deploy ends it before that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub until_deploy: bool,
    /// How often the error may be seen in an hour: as long as it is seen more often than this, the
    /// mute has no effect. `None` for no such limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at_most: Option<u64>,
    /// The name of the actor who has muted it.
    #[serde(default)]
    pub by: String,
    /// The reason, if one was given.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
}

impl Mute {
    /// Creates a mute from one moment until another.
    #[must_use]
    pub fn new(since: Timestamp, until: Timestamp) -> Self {
        let (by, reason) = (String::new(), String::new());
        Self { since, until, until_deploy: false, at_most: None, by, reason }
    }

    /// Sets who has muted the group, and why.
    #[must_use]
    pub fn by(self, actor: &Actor) -> Self {
        Self { by: actor.name().into(), reason: actor.why().into(), ..self }
    }

    /// Returns true when its time is not over, and no deploy has ended it. `deploy` is the time at
    /// which the newest deploy was seen first.
    #[must_use]
    pub fn goes_on(&self, now: Timestamp, deploy: Option<Timestamp>) -> bool {
        let is_replaced = self.until_deploy && deploy.is_some_and(|deploy| deploy > self.since);
        now < self.until && !is_replaced
    }

    /// Returns true when a group that was seen so often in the last hour is left out; for a mute that
    /// goes on.
    #[must_use]
    pub fn covers(&self, last_hour: u64) -> bool {
        self.at_most.is_none_or(|most| last_hour <= most)
    }
}

impl fmt::Display for Mute {
    /// Writes what ends the mute before its time: `until the next deploy, at most 100 an hour`; nothing
    /// for a mute that only its time ends.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let and = if self.until_deploy && self.at_most.is_some() { ", " } else { "" };
        f.write_str(if self.until_deploy { "until the next deploy" } else { "" })?;
        f.write_str(and)?;
        self.at_most.map_or(Ok(()), |most| write!(f, "at most {most} an hour"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_mute_ends_with_its_time_or_the_next_deploy() {
        let mute = Mute::new(at(10), at(20));
        assert!(mute.goes_on(at(19), None) && !mute.goes_on(at(20), None));
        assert!(mute.goes_on(at(19), Some(at(15))), "another deploy does not matter");
        let mute = Mute { until_deploy: true, ..mute };
        assert!(mute.goes_on(at(19), None) && mute.goes_on(at(19), Some(at(10))));
        assert!(!mute.goes_on(at(19), Some(at(11))));
        assert_eq!(mute.to_string(), "until the next deploy");
    }

    #[test]
    fn a_mute_covers_no_more_than_it_allows() {
        let mute = Mute::new(at(10), at(20));
        assert!(mute.covers(u64::MAX));
        let mute = Mute { at_most: Some(100), ..mute };
        assert!(mute.covers(100) && !mute.covers(101));
        assert_eq!(mute.to_string(), "at most 100 an hour");
        let both = Mute { until_deploy: true, ..mute };
        assert_eq!(both.to_string(), "until the next deploy, at most 100 an hour");
    }
}
