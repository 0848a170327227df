//! Logs: streams with a limit, whose entries are one JSON object each in the field `e`.

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::history::{LogId, LogPage};
use crate::job::Error;

/// The most entries of a log. Older ones are removed some hundred at a time, so that there may be
/// some more.
const MAX_ENTRIES: usize = 10_000;
/// The most entries of one read.
const READ: usize = 500;
/// The most reads of one page.
const READS: usize = 10;

impl Broker {
    /// Adds an entry to a log, and returns its id.
    pub(super) async fn add_to_log(
        &self,
        key: &str,
        entry: &impl Serialize,
    ) -> Result<LogId, Error> {
        let entry =
            serde_json::to_string(entry).map_err(|error| Error::codec(error.to_string()))?;
        let mut cmd = scripts::write("XADD", key);
        cmd.arg("MAXLEN").arg("~").arg(MAX_ENTRIES).arg("*").arg("e").arg(entry);
        reply::text(self.command(&cmd).await?)?.parse()
    }

    /// Reads a page of a log, the latest entry first: at most `most` entries, never more than 500,
    /// of those below `before` and not below `oldest` for which `read` returns something. Entries
    /// that cannot be read are passed over. Looks at 5,000 entries or fewer.
    pub(super) async fn read_log<R: DeserializeOwned, E>(
        &self,
        key: &str,
        (before, oldest): (Option<LogId>, Option<LogId>),
        most: usize,
        mut read: impl FnMut(LogId, R) -> Option<E>,
    ) -> Result<LogPage<E>, Error> {
        let (mut page, mut before) = (LogPage::new(), before);
        let most = most.clamp(1, READ);
        // One more tells whether there is another page.
        let mut count = (most + 1).min(READ);
        for _ in 0..READS {
            let mut cmd = redis::cmd("XREVRANGE");
            cmd.arg(key).arg(before.map_or("+".into(), |id| format!("({id}")));
            cmd.arg(oldest.map_or("-".into(), |id| id.to_string()));
            let entries = reply::entries(self.command(cmd.arg("COUNT").arg(count)).await?)?;
            let is_last = entries.len() < count;
            for (id, fields) in entries {
                if page.entries.len() == most {
                    page.next = before;
                    return Ok(page);
                }
                let id: LogId = id.parse()?;
                (before, page.looked_at) = (Some(id), page.looked_at + 1);
                let entry = fields.as_deref().and_then(|fields| fields.first());
                let record = entry.and_then(|(_, json)| serde_json::from_slice(json).ok());
                page.entries.extend(record.and_then(|record| read(id, record)));
            }
            if is_last {
                return Ok(page);
            }
            count = READ;
        }
        page.next = before;
        Ok(page)
    }
}
