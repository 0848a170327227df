//! Job ids that are derived from a name, a tick or a text.

use std::str::FromStr;

use uuid::Uuid;

use crate::job::{Error, JobId, QueueName, Timestamp};

/// Under which own ids and ids of plain entries are derived; part of the wire format.
const DERIVED: Uuid = Uuid::from_bytes(*b"poolder job ids\0");

impl JobId {
    /// The id that stands for a name of the caller's own in that queue (UUIDv5).
    #[must_use]
    pub fn named(queue: &QueueName, name: &str) -> Self {
        Self(Uuid::new_v5(&DERIVED, format!("{queue}\n{name}").as_bytes()))
    }

    /// The id of a schedule's tick (UUIDv5), so that whoever publishes it means the same job.
    #[must_use]
    pub fn of_tick(queue: &QueueName, schedule: &str, at: Timestamp) -> Self {
        let tick = format!("tick\n{queue}\n{schedule}\n{}", at.millis());
        Self(Uuid::new_v5(&DERIVED, tick.as_bytes()))
    }

    /// The id of a plain entry, which brings none: derived from where it was first stored.
    pub(crate) fn of_plain_entry(stream: &str, entry: &str) -> Self {
        Self(Uuid::new_v5(&DERIVED, format!("{stream}\n{entry}").as_bytes()))
    }
}

impl FromStr for JobId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        Uuid::parse_str(text)
            .map(Self)
            .map_err(|error| Error::invalid(format!("{text:?} is not a job id: {error}")))
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
