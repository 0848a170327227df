//! The jobs that hold the keys of unique jobs.

use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Handle, JobId, Lane, Partition, Place, Timestamp, UniqueKey, UniqueMode};

/// The number of bytes of a record, and those of one behind whose job another one waits;
/// `unique/holder.lua` describes them.
const RECORD: usize = 40;
const RECORD_OF_TWO: usize = 80;
/// The most keys of a page.
const MOST: usize = 500;

/// A key and the unique job that holds it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct KeyView {
    /// The key.
    pub key: UniqueKey,
    /// The job that holds the key, at the place where it was last known to be.
    pub job: Handle,
    /// When the key is free again.
    pub mode: UniqueMode,
    /// The time at which the job has taken the key.
    pub since: Timestamp,
    /// The time until which the job holds the key wherever it is; of a window its end. After it a
    /// job that is lost holds it no longer.
    pub until: Timestamp,
    /// The job that waits behind: it takes the key when the holder has ended.
    pub behind: Option<JobId>,
}

impl KeyView {
    /// Reads the record of a key; `None` for bytes that are none.
    fn read(partition: &Partition, key: &[u8], record: &[u8]) -> Option<Self> {
        let key = UniqueKey::from_bytes(key.try_into().ok()?);
        if record.len() != RECORD && record.len() != RECORD_OF_TWO {
            return None;
        }
        let number = |from: usize, to: usize| {
            record[from..to].iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte))
        };
        let time = |from| {
            Timestamp::from_millis(i64::try_from(number(from, from + 6)).unwrap_or(i64::MAX))
        };
        let id =
            |from: usize| Some(JobId::from_bytes(record.get(from..from + 16)?.try_into().ok()?));
        let entry = || format!("{}-{}", number(30, 36), number(36, 40)).into();
        let lane = Lane::from_index(usize::from(record[29]));
        let job = Handle {
            partition: partition.clone(),
            job: id(0)?,
            place: lane.map(|lane| Place::Entry(lane, entry())),
        };
        let mode = UniqueMode::of_number(record[28])?;
        Some(Self { key, job, mode, since: time(22), until: time(16), behind: id(RECORD) })
    }
}

impl Broker {
    /// Returns the job that holds a key; `None` for a key that is free. One whose time is over is
    /// shown until it is swept, or until the next enqueue of the key finds its job gone.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn key_holder(
        &self,
        partition: &Partition,
        key: UniqueKey,
    ) -> Result<Option<KeyView>, Error> {
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.keys(partition).unique).arg(key.as_bytes());
        match self.command(&cmd).await? {
            redis::Value::Nil => Ok(None),
            found => Ok(KeyView::read(partition, key.as_bytes(), &reply::bytes(found)?)),
        }
    }

    /// Returns some of the keys that are held, at most about `most`, and the cursor of the next page;
    /// `None` after the last one. Keys that are taken or freed meanwhile may be missing.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command, and
    /// [`Error::is_invalid`] for a cursor that no page has returned.
    pub async fn held_keys(
        &self,
        partition: &Partition,
        cursor: Option<u64>,
        most: usize,
    ) -> Result<(Vec<KeyView>, Option<u64>), Error> {
        let mut cmd = redis::cmd("HSCAN");
        cmd.arg(&self.keys(partition).unique).arg(cursor.unwrap_or(0));
        cmd.arg("COUNT").arg(most.clamp(1, MOST));
        let [next, found] = reply::items::<2>(self.command(&cmd).await?)?;
        let next = reply::text(next)?.parse::<u64>();
        let next = next.map_err(|_| Error::protocol("a cursor that is no number"))?;
        let mut found = reply::array(found)?.into_iter();
        let mut keys = vec![];
        while let (Some(key), Some(record)) = (found.next(), found.next()) {
            let (key, record) = (reply::bytes(key)?, reply::bytes(record)?);
            keys.extend(KeyView::read(partition, &key, &record));
        }
        Ok((keys, (next != 0).then_some(next)))
    }

    /// Frees a key that is held as it was seen; its job goes on, and another one of the key may run
    /// beside it. One that waits behind it takes the key, and is due. Returns false when another
    /// job holds the key meanwhile.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn release_key(&self, seen: &KeyView) -> Result<bool, Error> {
        let keys = self.keys(&seen.job.partition);
        let mut cmd = scripts::call(&scripts::UNIQUE_RELEASE, [keys.unique.as_str(), &keys.due]);
        cmd.arg(seen.key.as_bytes()).arg(seen.job.job.as_bytes()).arg(&keys.control);
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }
}
