//! Reads the entries that a consumer holds: builds the commands and reads their replies.

use redis::{Cmd, Pipeline, RedisResult, Value};

use crate::broker::connection::reply;
use crate::broker::keys::GROUP;
use crate::broker::{Broker, scripts};
use crate::job::{EntryId, Error, Lane};
use crate::stored::{Entry, read_entry};

/// Builds the `XPENDING` of one consumer; with `after` for the entries behind that one.
pub(in crate::broker) fn pending(
    stream: &str,
    consumer: &str,
    after: Option<&EntryId>,
    count: usize,
) -> Cmd {
    let mut cmd = redis::cmd("XPENDING");
    let first = after.map_or_else(|| "-".to_owned(), |after| format!("({after}"));
    cmd.arg(stream).arg(GROUP).arg(first).arg("+").arg(count).arg(consumer);
    cmd
}

/// Reads the entry ids in the reply to `XPENDING`.
pub(in crate::broker) fn pending_ids(reply: Value) -> Result<Vec<EntryId>, Error> {
    reply::array(reply)?
        .into_iter()
        .map(|item| {
            let [id, _consumer, _idle, _deliveries] = reply::items::<4>(item)?;
            Ok(reply::text(id)?.into())
        })
        .collect()
}

/// Builds one `XRANGE` per id.
pub(in crate::broker) fn ranges(stream: &str, ids: &[EntryId]) -> Pipeline {
    let mut pipe = redis::pipe();
    for id in ids {
        pipe.cmd("XRANGE").arg(stream).arg(id.as_ref()).arg(id.as_ref()).arg("COUNT").arg(1);
    }
    pipe
}

/// The entries that were found, and the ids of deleted entries.
type Ranges = (Vec<Entry>, Vec<EntryId>);

/// Reads the replies to [`ranges`].
pub(in crate::broker) fn read_ranges(
    stream: &str,
    lane: Lane,
    ids: &[EntryId],
    replies: Vec<RedisResult<Value>>,
) -> Result<Ranges, Result<Error, redis::RedisError>> {
    let (mut found, mut gone) = (vec![], vec![]);
    for (id, reply) in ids.iter().zip(replies) {
        match reply::entries(reply.map_err(Err)?).map_err(Ok)?.pop() {
            Some((id, Some(fields))) => found.push(read_entry(stream, lane, id, fields)),
            _ => gone.push(id.clone()),
        }
    }
    Ok((found, gone))
}

impl Broker {
    /// Acknowledges pending entries that were found to be deleted.
    pub(in crate::broker) async fn ack_missing(
        &self,
        stream: &str,
        gone: &[EntryId],
    ) -> Result<(), Error> {
        if gone.is_empty() {
            return Ok(());
        }
        let mut cmd = scripts::call(&scripts::ACK_MISSING, [stream]);
        gone.iter().for_each(|id| {
            cmd.arg(id.as_ref());
        });
        self.command(&cmd).await.map(|_| ())
    }
}
