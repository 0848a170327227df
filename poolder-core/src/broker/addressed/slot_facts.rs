//! The lease of an addressed slot as it is stored: what keeps the slot from starting its next job.

use redis::{Cmd, Value};

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::{EntryId, Error, Partition, Timestamp};

/// The stored state of a slot, which a lease without an end has as well as a free slot.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotFacts {
    /// The node that holds the slot, if one does.
    pub holder: Option<String>,
    /// How often the slot has been taken.
    pub term: u64,
    /// True when the slot was stopped.
    pub stopped: bool,
    /// The time until which a retry in front blocks the slot; it may be past.
    pub hold: Option<Timestamp>,
    /// The entry that the hold is for; `None` without a hold, and when an older version wrote it.
    pub held: Option<EntryId>,
    /// The generation of the pool that the slot knows, 0 for none.
    pub generation: u64,
    /// The last entry from before that generation.
    pub edge: Option<EntryId>,
}

impl SlotFacts {
    /// Builds the command that reads the lease at this key.
    pub(in crate::broker) fn command(key: &str) -> Cmd {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(key).arg(&["holder", "term", "stopped", "hold", "held", "gen", "edge"]);
        cmd
    }

    /// Reads the reply to [`SlotFacts::command`]. A number that cannot be read counts as 0.
    pub(in crate::broker) fn read(lease: Value) -> Result<Self, Error> {
        let [holder, term, stopped, hold, held, generation, edge] = reply::items::<7>(lease)?;
        let text = |value: Value| match value {
            Value::Nil => Ok(None),
            value => reply::text(value).map(|text| Some(text).filter(|text| !text.is_empty())),
        };
        let number =
            |value| Ok::<u64, Error>(text(value)?.and_then(|it| it.parse().ok()).unwrap_or(0));
        let hold = text(hold)?.and_then(|until| until.parse().ok()).map(Timestamp::from_millis);
        let held = text(held)?.and_then(|held| held.split_once(' ').map(|(_, entry)| entry.into()));
        Ok(Self {
            holder: text(holder)?,
            term: number(term)?,
            stopped: stopped != Value::Nil,
            hold,
            held: held.filter(|_| hold.is_some()),
            generation: number(generation)?,
            edge: text(edge)?.map(Into::into),
        })
    }
}

impl Broker {
    /// Reads the lease of a slot.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn slot_facts(&self, slot: &Partition) -> Result<SlotFacts, Error> {
        SlotFacts::read(self.command(&SlotFacts::command(&self.keys(slot).lease)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_read_and_rubbish_counts_as_nothing() {
        let lease = |fields: [&str; 7]| {
            let value = |text: &str| match text {
                "-" => Value::Nil,
                text => Value::BulkString(text.into()),
            };
            SlotFacts::read(Value::Array(fields.map(value).into()))
        };
        assert_eq!(lease(["-"; 7]).unwrap(), SlotFacts::default());
        let read = lease(["n1", "7", "1", "90", "90 5-0", "2", "4-18446744073709551615"]).unwrap();
        assert_eq!((read.holder.as_deref(), read.term, read.stopped), (Some("n1"), 7, true));
        assert_eq!(read.hold, Some(Timestamp::from_millis(90)));
        assert_eq!((read.held.as_deref(), read.generation), (Some("5-0"), 2));
        let odd = lease(["", "x", "-", "y", "z", "", "-"]).unwrap();
        assert_eq!(odd, SlotFacts::default());
        assert!(SlotFacts::read(Value::Array(vec![])).is_err());
    }
}
