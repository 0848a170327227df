//! Job ids that are derived from a name, a tick or a plain entry, or parsed from text.

use std::str::FromStr;

use uuid::Uuid;

use crate::job::{Error, JobId, QueueName, Timestamp};

/// The UUID namespace of all derived job ids; part of the wire format.
const NAMESPACE: Uuid = Uuid::from_bytes(*b"poolder job ids\0");

/// Returns the first and the last six bytes of the UUIDv5 of a text: those that do not have a version
/// in them.
pub(super) fn digest(text: &[u8]) -> [u8; 12] {
    let id = Uuid::new_v5(&NAMESPACE, text);
    let bytes = id.as_bytes();
    std::array::from_fn(|at| if at < 6 { bytes[at] } else { bytes[at + 4] })
}

impl JobId {
    /// Derives the id from a name that the caller chose, for a job of that queue (UUIDv5).
    #[must_use]
    pub fn named(queue: &QueueName, name: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("{queue}\n{name}").as_bytes()))
    }

    /// Derives the id of a schedule's tick (UUIDv5): every node that publishes the tick derives the
    /// same id.
    #[must_use]
    pub fn of_tick(queue: &QueueName, schedule: &str, at: Timestamp) -> Self {
        let tick = format!("tick\n{queue}\n{schedule}\n{}", at.millis());
        Self(Uuid::new_v5(&NAMESPACE, tick.as_bytes()))
    }

    /// Derives the id of a plain entry, which carries none, from the stream and the entry id under
    /// which it was first stored.
    pub(crate) fn of_plain_entry(stream: &str, entry: &str) -> Self {
        Self(Uuid::new_v5(&NAMESPACE, format!("{stream}\n{entry}").as_bytes()))
    }

    /// Returns the ids under which a job of this id may wait, or be kept among the dead: the id
    /// itself, and 15 others for jobs that find another job of their id there. A generated id is
    /// given to one job only.
    pub(crate) fn stored_as(self) -> impl Iterator<Item = Self> {
        let others = if self.generated_at().is_some() { 0 } else { 15 };
        (0..=others).map(move |n| {
            let mut bytes = *self.as_bytes();
            bytes[15] = bytes[15].wrapping_add(n);
            Self::from_bytes(bytes)
        })
    }

    /// Reads an id as scripts write it: 32 hexadecimal digits without hyphens.
    pub(crate) fn from_hex(text: &str) -> Option<Self> {
        Uuid::try_parse(text).ok().map(Self)
    }
}

impl FromStr for JobId {
    type Err = Error;

    /// Reads an id in its only form: lower-case hexadecimal digits in five groups.
    fn from_str(text: &str) -> Result<Self, Error> {
        let id = Uuid::parse_str(text).ok().map(Self).filter(|id| id.to_string() == text);
        id.ok_or_else(|| {
            Error::invalid(format!(
                "{text:?} is not a job id: use the form 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b, in \
                 lower case"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn named_ids_are_stable_and_differ_by_queue() {
        let (mail, media) = (QueueName::new("mail").unwrap(), QueueName::new("media").unwrap());
        let id = JobId::named(&mail, "order-7");
        assert_eq!(id, JobId::named(&mail, "order-7"));
        assert_ne!(id, JobId::named(&media, "order-7"));
        assert_eq!(id.to_string().parse::<JobId>().unwrap(), id);
    }
}
