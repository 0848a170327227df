//! The reply to an enqueue: what was stored, or which job stands in its place.

use redis::Value;
use serde::ser::{Serialize, SerializeStruct, Serializer};

use crate::broker::connection::reply;
use crate::job::{EntryId, Error, Handle, JobId, Lane, Partition, Place, Timestamp};

/// The reply to an enqueue.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Receipt {
    /// The id of the job; of a unique job that was not stored, that of the job that holds its key.
    pub job: JobId,
    /// The partition that stores the job.
    pub partition: Partition,
    /// The lane of the job.
    pub lane: Lane,
    /// The way in which the job was stored.
    pub stored: Stored,
}

impl Receipt {
    /// Creates the receipt of a job that was stored.
    #[must_use]
    pub fn new(job: JobId, partition: Partition, lane: Lane, stored: Stored) -> Self {
        Self { job, partition, lane, stored }
    }

    /// Returns whether no job was stored, since one stands already: one of this id, or the one that
    /// holds the unique key. [`Receipt::handle`] names it.
    #[must_use]
    pub fn is_duplicate(&self) -> bool {
        !matches!(
            self.stored,
            Stored::Ready(_) | Stored::Grouped(..) | Stored::Due(_) | Stored::Behind
        )
    }

    /// Returns the handle of the job: the one that was stored, or the one that stands.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle::from(self)
    }
}

/// The way in which a job was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stored {
    /// Stored in its lane as this entry.
    Ready(EntryId),
    /// Stored in this group of a limited queue, under this number.
    Grouped(Box<str>, u64),
    /// Stored in `due` until this time.
    Due(Timestamp),
    /// Stored behind the job that holds the unique key: it is due when that one has ended.
    Behind,
    /// Not stored, since a job with this id was stored before.
    Already,
    /// Not stored, since a unique job holds the key. The place is where it was last known to be.
    Duplicate(Option<Place>),
    /// Not stored: the unique job that holds the key, or the one that waits behind it, has the data of
    /// this one.
    Replaced(Option<Place>),
}

impl Serialize for Receipt {
    /// Writes `job`, `partition`, `lane`, `handle`, and `stored`: `ready`, `grouped`, `due`, `behind`,
    /// `already`, `duplicate` or `replaced`.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let stored = match &self.stored {
            Stored::Ready(_) => "ready",
            Stored::Grouped(..) => "grouped",
            Stored::Due(_) => "due",
            Stored::Behind => "behind",
            Stored::Already => "already",
            Stored::Duplicate(_) => "duplicate",
            Stored::Replaced(_) => "replaced",
        };
        let mut fields = serializer.serialize_struct("Receipt", 5)?;
        fields.serialize_field("job", &self.job)?;
        fields.serialize_field("partition", &self.partition)?;
        fields.serialize_field("lane", &self.lane)?;
        fields.serialize_field("handle", &Handle::from(self))?;
        fields.serialize_field("stored", stored)?;
        fields.end()
    }
}

impl From<&Receipt> for Handle {
    fn from(receipt: &Receipt) -> Self {
        let place = match &receipt.stored {
            Stored::Ready(entry) => Some(Place::Entry(receipt.lane, entry.clone())),
            Stored::Grouped(group, number) => Some(Place::Group(group.clone(), *number)),
            Stored::Due(at) => Some(Place::Due(*at)),
            Stored::Already | Stored::Behind => None,
            Stored::Duplicate(place) | Stored::Replaced(place) => place.clone(),
        };
        Self { partition: receipt.partition.clone(), job: receipt.job, place }
    }
}

impl From<Receipt> for Handle {
    fn from(receipt: Receipt) -> Self {
        Self::from(&receipt)
    }
}

impl Receipt {
    /// Reads the answer that another job holds the key of one that was to go to the lane `asked`.
    pub(super) fn standing(
        partition: &Partition,
        asked: Lane,
        items: Vec<Value>,
    ) -> Result<Self, Error> {
        let [word, job, lane, place] = reply::items::<4>(Value::Array(items))?;
        let id = <[u8; 16]>::try_from(reply::bytes(job)?.as_slice());
        let job = JobId::from_bytes(id.map_err(|_| Error::protocol("a job id of another length"))?);
        let index = usize::try_from(reply::int(lane)?).unwrap_or(usize::MAX);
        let place = match (index, Lane::from_index(index)) {
            (_, Some(lane)) => Some(Place::Entry(lane, reply::text(place)?.into())),
            (5, None) => Some(Place::Due(Timestamp::from_millis(reply::int(place)?))),
            (_, None) => None,
        };
        let lane = match &place {
            Some(Place::Entry(lane, _)) => *lane,
            _ => asked,
        };
        let stored = match reply::text(word)?.as_str() {
            "next" => Stored::Behind,
            "replaced" => Stored::Replaced(place),
            _ => Stored::Duplicate(place),
        };
        Ok(Self { job, partition: partition.clone(), lane, stored })
    }
}
