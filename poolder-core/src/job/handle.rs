//! A reference to a job: returned by an enqueue, or built from a queue and an id.

use std::fmt;
use std::str::FromStr;

use crate::job::{
    EntryId, Error, JobId, Lane, Partition, QueueName, Timestamp, deserialize_from_text,
    serialize_as_text,
};

/// The numbers of jobs in their groups are smaller than this.
const MAX_NUMBER: u64 = 1 << 40;

/// Identifies a job and the place to look for it first. A handle can be written as text for a
/// command line or a URL: `mail.0/0190…` or `mail.0/0190…/normal/1700000000000-0`.
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
    /// The partition that holds the job.
    pub partition: Partition,
    /// The id of the job.
    pub job: JobId,
    /// The place where the job was last seen; `None` when it is not known.
    pub place: Option<Place>,
}

/// A place where a job was seen.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// A stream entry of a lane, in which the job waits or runs.
    Entry(Lane, EntryId),
    /// A group of a limited queue, in which the job waits under this number.
    Group(Box<str>, u64),
    /// The waiting jobs: the job is due at this time.
    Due(Timestamp),
    /// The dead jobs.
    Dead,
}

impl Handle {
    /// Creates the handle of a job of which only the queue and the id are known: in the queue's
    /// first partition, at an unknown place.
    #[must_use]
    pub fn new(queue: QueueName, job: JobId) -> Self {
        Self { partition: Partition::first(queue), job, place: None }
    }

    /// Creates the handle of the job that was enqueued in this queue with `.id(name)`.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the queue.
    pub fn named(queue: impl AsRef<str>, name: &str) -> Result<Self, Error> {
        let queue = QueueName::new(queue)?;
        let job = JobId::named(&queue, name);
        Ok(Self::new(queue, job))
    }

    /// Returns true when the handle means the dead job of its id, also if other jobs of the id are
    /// alive.
    pub(crate) fn names_the_dead(&self) -> bool {
        self.place == Some(Place::Dead)
    }

    /// Returns the lane and the entry in which the job was seen, if it was seen in a lane.
    pub(crate) fn entry(&self) -> Option<(Lane, &EntryId)> {
        match &self.place {
            Some(Place::Entry(lane, entry)) => Some((*lane, entry)),
            _ => None,
        }
    }
}

impl JobId {
    /// Returns the handle of the job of this id in a queue.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for an illegal name of the queue.
    pub fn in_queue(self, queue: impl AsRef<str>) -> Result<Handle, Error> {
        Ok(Handle::new(QueueName::new(queue)?, self))
    }
}

impl From<&Self> for Handle {
    fn from(handle: &Self) -> Self {
        handle.clone()
    }
}

impl TryFrom<&str> for Handle {
    type Error = Error;

    fn try_from(text: &str) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<String> for Handle {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl TryFrom<&String> for Handle {
    type Error = Error;

    fn try_from(text: &String) -> Result<Self, Error> {
        text.parse()
    }
}

/// The handle that was to be made, or the error of its making: an argument that is checked when it
/// is used.
impl TryFrom<Result<Self, Error>> for Handle {
    type Error = Error;

    fn try_from(made: Result<Self, Error>) -> Result<Self, Error> {
        made
    }
}

serialize_as_text! { Handle }
deserialize_from_text! { Handle }

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.partition, self.job)?;
        match &self.place {
            Some(Place::Entry(lane, entry)) => write!(f, "/{lane}/{entry}"),
            Some(Place::Group(group, number)) => {
                write!(f, "/group/{number}-{}", escaped(group))
            }
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
                "{text:?} is not a handle: use queue.partition/job-id, as returned by enqueue"
            ))
        };
        let mut parts = text.split('/');
        let (partition, job) = parts.next().zip(parts.next()).ok_or_else(wrong)?;
        let (queue, index) = partition.rsplit_once('.').ok_or_else(wrong)?;
        let index = canonical(index).ok_or_else(|| match is_of_newer_version(index) {
            true => Error::invalid(format!(
                "{text:?} names partition {index:?}, a form that this version does not know: a \
                 newer version of Poolder wrote the handle"
            )),
            false => wrong(),
        })?;
        let partition = Partition { queue: QueueName::new(queue)?, index };
        let place = match (parts.next(), parts.next()) {
            (None, _) => None,
            (Some("dead"), None) => Some(Place::Dead),
            (Some("due"), Some(at)) => {
                Some(Place::Due(Timestamp::from_millis(canonical(at).ok_or_else(wrong)?)))
            }
            (Some("group"), Some(place)) => {
                let (number, group) = group_place(place).ok_or_else(wrong)?;
                Some(Place::Group(group.into(), number))
            }
            (Some(lane), Some(entry)) => {
                let found = Lane::ALL.into_iter().find(|known| known.as_str() == lane);
                let numbers = entry.split_once('-').ok_or_else(wrong)?;
                canonical::<u64>(numbers.0).zip(canonical::<u64>(numbers.1)).ok_or_else(wrong)?;
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

/// Writes the name of a group for a handle: letters and digits of ASCII, `-` and `_` stand for
/// themselves, each other byte is `~` and two digits.
fn escaped(group: &str) -> String {
    let mut text = String::with_capacity(group.len());
    for byte in group.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("~{byte:02X}"));
        }
    }
    text
}

/// Reads the number of a job in its group, and the name of the group, in their only form.
fn group_place(text: &str) -> Option<(u64, String)> {
    let (number, escapes) = text.split_once('-')?;
    let number = canonical::<u64>(number).filter(|number| *number < MAX_NUMBER)?;
    let mut parts = escapes.split('~');
    let mut bytes = parts.next()?.as_bytes().to_vec();
    for part in parts {
        let (digits, rest) = part.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.as_bytes());
    }
    let group = String::from_utf8(bytes).ok().filter(|it| escaped(it) == escapes)?;
    Some((number, group))
}

/// Reads a number in its only form: `+1`, `01` and `-0` are refused.
fn canonical<T: FromStr + fmt::Display>(text: &str) -> Option<T> {
    text.parse().ok().filter(|number: &T| number.to_string() == text)
}

/// Returns true for the index of a partition with the suffix that is reserved for later versions: a
/// lower-case letter, then more letters and digits.
fn is_of_newer_version(index: &str) -> bool {
    let suffix = index.trim_start_matches(|c: char| c.is_ascii_digit());
    let number = &index[..index.len() - suffix.len()];
    canonical::<u16>(number).is_some()
        && suffix.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
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
            Some(Place::Due(Timestamp::from_millis(-5))),
            Some(Place::Entry(Lane::High, "7-0".into())),
            Some(Place::Group("".into(), 1_000_000_000)),
            Some(Place::Group("a/b.ä_-~%".into(), (1 << 40) - 1)),
        ];
        for place in places {
            let handle = Handle { place, ..new.clone() };
            assert_eq!(handle.to_string().parse::<Handle>().unwrap(), handle);
        }
        for bad in ["", "mail.0", "mail/x", "mail.x/y", "mail.0/0/normal", "a.0/b/c/d/e"] {
            assert!(bad.parse::<Handle>().is_err_and(|error| error.is_invalid()), "{bad}");
        }
    }

    #[test]
    fn each_handle_has_one_form() {
        let id = JobId::from_bytes([0xab; 16]);
        let good = format!("mail.0/{id}");
        assert!(good.parse::<Handle>().is_ok());
        assert!(format!("{good}/normal/7-0").parse::<Handle>().is_ok());
        let bad = [
            format!("mail.+1/{id}"),
            format!("mail.01/{id}"),
            format!("mail. 1/{id}"),
            format!("mail.70000/{id}"),
            format!("mail./{id}"),
            format!("mail.0/{}", id.to_string().to_uppercase()),
            format!("mail.0/{}", id.to_string().replace('-', "")),
            format!("mail.0/urn:uuid:{id}"),
            format!("mail.0/{{{id}}}"),
            format!("{good}b"),
            format!("{good}/due/+5"),
            format!("{good}/due/-0"),
            format!("{good}/normal/7"),
            format!("{good}/normal/07-0"),
            format!("{good}/normal/7-x"),
            format!("{good}/"),
            format!("{good}/group/7"),
            format!("{good}/group/07-a"),
            format!("{good}/group/1099511627776-a"),
            format!("{good}/group/7-a b"),
            format!("{good}/group/7-~61"),
            format!("{good}/group/7-~2f"),
            format!("{good}/group/7-~"),
            format!("{good}/group/7-~FF"),
        ];
        for text in bad {
            assert!(text.parse::<Handle>().is_err_and(|error| error.is_invalid()), "{text}");
        }
    }

    #[test]
    fn the_partition_of_a_newer_version_is_refused_by_its_name() {
        let id = JobId::from_bytes([9; 16]);
        let why = |index: &str| {
            let error = format!("mail.{index}/{id}").parse::<Handle>().unwrap_err();
            assert!(error.is_invalid());
            error.to_string()
        };
        for index in ["0b", "12a7", "3z"] {
            assert!(why(index).contains("a newer version of Poolder wrote"), "{}", why(index));
        }
        for index in ["b", "01b", "0B", "0_", "0b-", "70000b"] {
            assert!(why(index).contains("is not a handle"), "{}", why(index));
        }
    }
}
