//! Looking into a list that fills, and taking an entry out of it.

use redis::Value;

use super::{BatcherHome, CHUNK};
use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, JobId};

/// A part of what gathers in a group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gathering {
    /// Names this filling of the list; the next one has another. `None` when nothing gathers.
    pub generation: Option<u64>,
    /// How many entries there are in all.
    pub len: u64,
    /// The entries that were asked for.
    pub entries: Vec<Vec<u8>>,
}

/// What was taken out of a filling list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Popped<T> {
    /// The entry.
    pub entry: T,
    /// The generation of the list it was in.
    pub generation: u64,
}

impl Broker {
    /// How many entries gather in a group.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn batch_len(&self, home: &BatcherHome, group: &str) -> Result<u64, Error> {
        let mut cmd = redis::cmd("LLEN");
        cmd.arg(self.keys(home.partition()).batch_fill(home.name(), group));
        Ok(u64::try_from(reply::int(self.command(&cmd).await?)?).unwrap_or(0))
    }

    /// Up to 500 of the entries that gather in a group, from that index on, as of one moment.
    ///
    /// # Errors
    /// Whatever keeps the server from answering.
    pub async fn gathering(
        &self,
        home: &BatcherHome,
        group: &str,
        from: u64,
        count: usize,
    ) -> Result<Gathering, Error> {
        let keys = self.keys(home.partition());
        let fill = keys.batch_fill(home.name(), group);
        let till = from.saturating_add(count.clamp(1, CHUNK) as u64 - 1);
        let mut pipe = redis::pipe();
        pipe.atomic().cmd("HGET").arg(keys.batch_open(home.name())).arg(group);
        pipe.cmd("LLEN").arg(&fill).cmd("LRANGE").arg(&fill).arg(from).arg(till);
        let mut connection = self.alone(&fill).await?;
        let reply: Value =
            pipe.query_async(&mut connection).await.map_err(|error| self.classify(error))?;
        let [meta, len, entries] = reply::items::<3>(reply)?;
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

    /// Takes one entry out of what gathers in a group: of that generation, or of whichever it is.
    ///
    /// # Errors
    /// [`Error::is_gone`] when the list is of another generation or has no such index; then
    /// nothing was taken. [`Error::is_unknown`] when the reply was lost: the entry may be out.
    pub async fn pop_entry(
        &self,
        home: &BatcherHome,
        group: &str,
        generation: Option<u64>,
        index: u64,
    ) -> Result<Popped<Vec<u8>>, Error> {
        let (keys, name) = (self.keys(home.partition()), home.name());
        let own = [keys.batcher(name), keys.batch_open(name), keys.batch_fill(name, group)];
        let all = own.iter().map(String::as_str).chain([keys.due.as_str()]);
        let mut cmd = scripts::call(&scripts::POP, all);
        cmd.arg(name).arg(group);
        match generation {
            Some(generation) => cmd.arg(generation),
            None => cmd.arg(""),
        };
        cmd.arg(index).arg(format!("popped {}", JobId::generate()));
        let [verdict, entry, of] = reply::items::<3>(self.script(&scripts::POP, &cmd).await?)?;
        let whose = if group.is_empty() { String::new() } else { format!(", group {group}") };
        match reply::text(verdict)?.as_str() {
            "OK" => {
                let generation = first_number(&reply::text(of)?).unwrap_or(0);
                Ok(Popped { entry: reply::bytes(entry)?, generation })
            }
            "RANGE" => Err(Error::gone(format!(
                "index {index} is out of range: {} entries gather in batcher {name:?}{whose}",
                reply::int(entry)?
            ))),
            _ => Err(Error::gone(format!(
                "the batch of generation {} was sealed before its entry {index} could be taken \
                 out (batcher {name:?}{whose})",
                generation.unwrap_or(0)
            ))),
        }
    }
}

pub(super) fn first_number(text: &str) -> Option<u64> {
    text.split(' ').next().and_then(|number| number.parse().ok())
}
