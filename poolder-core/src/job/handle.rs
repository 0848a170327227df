//! Where to look for a job: what an enqueue returned, or a queue and an id.

use std::fmt;
use std::str::FromStr;

use crate::job::{EntryId, Error, JobId, Lane, Partition, QueueName, Timestamp};

/// Names a job, and says where to look for it first. It is text on the way through a command line
/// or a URL: `mail.0/0190…` or `mail.0/0190…/normal/1700000000000-0`.
///
/// ```
/// use poolder_core::{Handle, JobId, QueueName};
///
/// let handle = Handle::new(QueueName::new("mail")?, JobId::generate());
/// assert_eq!(handle.to_string().parse::<Handle>()?, handle);
/// # Ok::<(), poolder_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handle {
    /// The partition in which it lives.
    pub partition: Partition,
    /// The job.
    pub job: JobId,
    /// Where it was seen last, if anybody saw it.
    pub place: Option<Place>,
}

/// Where a job was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// In a lane, as that entry; it waits there or runs.
    Entry(Lane, EntryId),
    /// Waiting until that time.
    Due(Timestamp),
    /// Among the dead.
    Dead,
}

impl Handle {
    /// A job of which only the queue and the id are known.
    #[must_use]
    pub fn new(queue: QueueName, job: JobId) -> Self {
        Self { partition: Partition::first(queue), job, place: None }
    }

    /// The entry in which it was seen.
    pub(crate) fn entry(&self) -> Option<(Lane, &EntryId)> {
        match &self.place {
            Some(Place::Entry(lane, entry)) => Some((*lane, entry)),
            _ => None,
        }
    }
}

impl From<&Self> for Handle {
    fn from(handle: &Self) -> Self {
        handle.clone()
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.job)?;
        match &self.place {
            Some(Place::Entry(lane, entry)) => write!(f, "/{lane}/{entry}"),
            Some(Place::Due(at)) => write!(f, "/due/{}", at.millis()),
            Some(Place::Dead) => f.write_str("/dead"),
            None => Ok(()),
        }
    }
}

impl FromStr for Handle {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || {
            Error::invalid(format!(
                "{text:?} is not a handle: write queue.partition/job-id, as an enqueue shows it"
            ))
        };
        let mut parts = text.split('/');
        let (partition, job) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
        let (queue, index) = partition.rsplit_once('.').ok_or_else(wrong)?;
        let index = index.parse().map_err(|_| wrong())?;
        let partition = Partition { queue: QueueName::new(queue)?, index };
        let place = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some("dead"), None) => Some(Place::Dead),
            (Some("due"), Some(at)) => {
                Some(Place::Due(Timestamp::from_millis(at.parse().map_err(|_| wrong())?)))
            }
            (Some(lane), Some(entry)) => {
                let found = Lane::ALL.into_iter().find(|known| known.as_str() == lane);
                Some(Place::Entry(found.ok_or_else(wrong)?, entry.into()))
            }
            (Some(_), None) => return Err(wrong()),
        };
        match parts.next() {
            None => Ok(Self { partition, job: job.parse()?, place }),
            Some(_) => Err(wrong()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_survives_being_text() {
        let queue = QueueName::new("a.b").unwrap();
        let new = Handle::new(queue, JobId::from_bytes([9; 16]));
        let places = [
            None,
            Some(Place::Dead),
            Some(Place::Due(Timestamp::from_millis(5))),
            Some(Place::Entry(Lane::High, "7-0".into())),
        ];
        for place in places {
            let handle = Handle { place, ..new.clone() };
            assert_eq!(handle.to_string().parse::<Handle>().unwrap(), handle);
        }
        for bad in ["", "mail.0", "mail/x", "mail.x/y", "mail.0/0/normal", "a.0/b/c/d/e"] {
            assert!(bad.parse::<Handle>().is_err_and(|error| error.is_invalid()), "{bad}");
        }
    }
}
