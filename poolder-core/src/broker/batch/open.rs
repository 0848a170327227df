//! Reading a filling list, and taking an entry out of it.

use redis::Value;
use serde::Serialize;

use super::{BEYOND, BatcherHome, bounds};
use crate::broker::connection::reply;
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId};

/// How often a filling list is read when it changes during each read.
const MAX_TRIES: u32 = 30;

/// A part of a group's filling list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathering {
    /// Identifies this filling of the list; the next filling has another generation. `None` when
    /// the group has no entries.
    pub generation: Option<u64>,
    /// The number of entries in the whole list.
    pub len: u64,
    /// The requested entries.
    pub entries: Vec<Vec<u8>>,
}

/// An entry that was taken out of a filling list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Popped<T> {
    /// The entry.
    pub entry: T,
    /// The generation of the list that held the entry.
    pub generation: u64,
}

impl<T> Popped<T> {
    /// Reads the entry as another type.
    ///
    /// # Errors
    /// Returns the error of `read`.
    pub fn try_map<U, E>(self, read: impl FnOnce(T) -> Result<U, E>) -> Result<Popped<U>, E> {
        Ok(Popped { entry: read(self.entry)?, generation: self.generation })
    }
}

impl Broker {
    /// Returns the number of entries in a group's filling list.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn batch_len(&self, home: &BatcherHome, group: &str) -> Result<u64, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let open = captured.open_list(home.partition(), home.name(), group);
            return Ok(open.map_or(0, |(_, entries)| entries.len() as u64));
        }
        let mut cmd = redis::cmd("LLEN");
        cmd.arg(self.keys(home.partition()).batch_fill(home.name(), group));
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// Returns up to `count` entries, at most 500, of a group's filling list, from the index `from`
    /// on. List and generation are read at one moment.
    ///
    /// # Errors
    /// [`Error::is_refused`] when the list changes during every read. Returns an error, too, when the server does not answer or refuses the command.
    pub async fn gathering(
        &self,
        home: &BatcherHome,
        group: &str,
        from: u64,
        count: usize,
    ) -> Result<Gathering, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let open = captured.open_list(home.partition(), home.name(), group);
            let (generation, all) = open.map_or((None, vec![]), |open| (Some(open.0), open.1));
            let (len, (from, until)) = (all.len() as u64, bounds(from, count));
            let some = all.into_iter().zip(0..);
            let some = some.filter(|(_, at)| (from..=until).contains(at));
            let entries = some.map(|(entry, _)| entry).collect();
            return Ok(Gathering { generation, len, entries });
        }
        let keys = self.keys(home.partition());
        let fill = keys.batch_fill(home.name(), group);
        let (from, until) = bounds(from, count);
        let open = keys.batch_open(home.name());
        // No transaction, since a full server refuses those. The data of the group change with each
        // entry, so that equal data before and after show that nothing came between.
        let mut pipe = redis::pipe();
        pipe.cmd("HGET").arg(&open).arg(group);
        pipe.cmd("LLEN").arg(&fill).cmd("LRANGE").arg(&fill).arg(from).arg(until);
        pipe.cmd("HGET").arg(&open).arg(group);
        let mut connection = self.alone(&fill).await?;
        let mut tries = 0;
        let (meta, len, entries) = loop {
            let trip = self.inner.round_trips.trip(RedisOperation::Other);
            let reply = pipe.query_async(&mut connection).await;
            self.inner.round_trips.end(trip, &reply);
            let reply: Value = reply.map_err(|error| self.classify(error))?;
            let [before, len, entries, after] = reply::items::<4>(reply)?;
            if before == after {
                break (after, len, entries);
            }
            tries += 1;
            if tries == MAX_TRIES {
                return Err(Error::refused("the batch changed during each read: read it again"));
            }
        };
        let generation = match meta {
            Value::Nil => None,
            meta => first_number(&reply::text(meta)?),
        };
        let entries = reply::array(entries)?.into_iter().map(reply::bytes);
        Ok(Gathering {
            generation,
            len: u64::try_from(reply::int(len)?).unwrap_or(0),
            entries: entries.collect::<Result<_, _>>()?,
        })
    }

    /// Takes one entry out of a group's filling list. With `generation`, only out of the list of
    /// that generation.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the list has another generation, [`Error::is_not_found`] when it has
    /// no such index; nothing is taken then. [`Error::is_unknown`] when the reply was lost: the
    /// entry may have been taken.
    pub async fn pop_entry(
        &self,
        home: &BatcherHome,
        group: &str,
        generation: Option<u64>,
        index: u64,
    ) -> Result<Popped<Vec<u8>>, Error> {
        #[cfg(feature = "testing")]
        if let Some(captured) = self.captured() {
            let (partition, name) = (home.partition(), home.name());
            let (of, entries) = captured.open_list(partition, name, group).unwrap_or_default();
            if generation.is_some_and(|wanted| wanted != of) {
                return Err(sealed_before(home, group, generation, index));
            }
            let at = usize::try_from(index).unwrap_or(usize::MAX);
            let found = entries.get(at).cloned();
            let entry = found.ok_or_else(|| no_index(home, group, index, entries.len() as u64))?;
            captured.pop(partition, name, group, at);
            return Ok(Popped { entry, generation: of });
        }
        let (keys, name) = (self.keys(home.partition()), home.name());
        let own = [keys.batcher(name), keys.batch_open(name), keys.batch_fill(name, group)];
        let all = own.iter().map(String::as_str).chain([keys.due.as_str()]);
        let mut cmd = scripts::call(&scripts::POP, all);
        cmd.arg(name).arg(group);
        match generation {
            Some(generation) => cmd.arg(generation),
            None => cmd.arg(""),
        };
        cmd.arg(index.min(BEYOND)).arg(format!("popped {}", JobId::generate()));
        let [verdict, entry, of] = reply::items::<3>(self.command(&cmd).await?)?;
        match reply::text(verdict)?.as_str() {
            "OK" => {
                let generation = first_number(&reply::text(of)?).unwrap_or(0);
                Ok(Popped { entry: reply::bytes(entry)?, generation })
            }
            "RANGE" => {
                let len = u64::try_from(reply::int(entry)?).unwrap_or(0);
                Err(no_index(home, group, index, len))
            }
            _ => Err(sealed_before(home, group, generation, index)),
        }
    }
}

fn named(home: &BatcherHome, group: &str) -> String {
    let of_group = if group.is_empty() { String::new() } else { format!(", group {group}") };
    format!("batcher {:?}{of_group}", home.name())
}

/// The error for an index that no entry has.
fn no_index(home: &BatcherHome, group: &str, index: u64, len: u64) -> Error {
    Error::not_found(format!(
        "index {index} is out of range: {len} entries gather in {}",
        named(home, group)
    ))
}

/// The error for an entry of a list that was sealed.
fn sealed_before(home: &BatcherHome, group: &str, generation: Option<u64>, index: u64) -> Error {
    Error::gone(format!(
        "the batch of generation {} was sealed before its entry {index} could be taken out ({})",
        generation.unwrap_or(0),
        named(home, group)
    ))
}

/// Reads the number at the start of a text, up to the first space.
pub(super) fn first_number(text: &str) -> Option<u64> {
    text.split(' ').next().and_then(|number| number.parse().ok())
}
