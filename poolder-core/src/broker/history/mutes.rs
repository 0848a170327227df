//! Muting groups of equal errors.

use std::collections::BTreeMap;

use redis::Value;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::history::{ErrorId, Mute};
use crate::job::{Error, Timestamp};

/// The most mutes that are kept.
const MAX_MUTES: usize = 500;
/// The number of fields that one look for ended mutes asks for.
const LOOK: usize = 1_000;

impl Broker {
    /// Stores the mute of a group of equal errors, in place of an earlier one. Mutes that have ended
    /// are removed.
    ///
    /// # Errors
    /// [`Error::is_refused`] when 500 other groups are muted; also returns an error when the server
    /// does not answer or refuses the command.
    pub async fn mute_error(&self, id: ErrorId, mute: &Mute) -> Result<(), Error> {
        let key = &self.roster_keys().history.errors_muted;
        let stored =
            serde_json::to_string(mute).map_err(|error| Error::codec(error.to_string()))?;
        let others = self.sweep_mutes(id, mute.since).await?;
        if others >= MAX_MUTES {
            return Err(Error::refused(format!(
                "{MAX_MUTES} other errors are muted already: unmute some of them first"
            )));
        }
        let mut cmd = scripts::write("HSET", key);
        cmd.arg(id.to_string()).arg(stored);
        self.command(&cmd).await.map(drop)
    }

    /// Removes the mute of a group of equal errors. Returns false when there was none.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn unmute_error(&self, id: ErrorId) -> Result<bool, Error> {
        let mut cmd = redis::cmd("HDEL");
        cmd.arg(&self.roster_keys().history.errors_muted).arg(id.to_string());
        Ok(reply::int(self.command(&cmd).await?)? == 1)
    }

    /// Removes mutes that have ended and those that cannot be read, as far as one look finds them.
    /// Returns the number of the others, that of a group not counted.
    async fn sweep_mutes(&self, but: ErrorId, now: Timestamp) -> Result<usize, Error> {
        let key = &self.roster_keys().history.errors_muted;
        let mut pipe = redis::pipe();
        pipe.cmd("HLEN").arg(key).cmd("HSCAN").arg(key).arg(0).arg("COUNT").arg(LOOK);
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || {
            let reply = replies.next().unwrap_or(Ok(Value::Nil));
            reply.map_err(|error| self.classify(error))
        };
        let (len, page) = (reply::int(next()?)?, reply::array(next()?)?);
        let mut fields = page.into_iter().nth(1).map_or(Ok(vec![]), reply::array)?.into_iter();
        let (mut ended, mut is_there) = (vec![], 0);
        while let (Some(field), Some(stored)) = (fields.next(), fields.next()) {
            let Value::BulkString(field) = field else { continue };
            let id = std::str::from_utf8(&field).ok().and_then(|id| id.parse::<ErrorId>().ok());
            match (id, read(stored)) {
                (Some(id), _) if id == but => is_there = 1,
                // A deploy is not asked for: such a mute ends with its time at the latest.
                (Some(_), Some(mute)) if mute.goes_on(now, None) => {}
                _ => ended.push(field),
            }
        }
        if !ended.is_empty() {
            let mut cmd = redis::cmd("HDEL");
            cmd.arg(key).arg(&ended);
            self.command(&cmd).await?;
        }
        Ok(usize::try_from(len).unwrap_or(0).saturating_sub(ended.len() + is_there))
    }

    /// Reads the mutes of these groups that go on.
    pub(super) async fn mutes(
        &self,
        ids: &[String],
        now: Timestamp,
    ) -> Result<BTreeMap<ErrorId, Mute>, Error> {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&self.roster_keys().history.errors_muted).arg(ids);
        let stored = reply::array(self.command(&cmd).await?)?;
        let named = ids.iter().zip(stored);
        let mut mutes: BTreeMap<ErrorId, Mute> =
            named.filter_map(|(id, stored)| Some((id.parse().ok()?, read(stored)?))).collect();
        let deploy = match mutes.values().any(|mute| mute.until_deploy) {
            true => self.deploys().await?.last().map(|mark| mark.first_seen),
            false => None,
        };
        mutes.retain(|_, mute| mute.goes_on(now, deploy));
        Ok(mutes)
    }
}

/// Reads a stored mute; `None` for none, and for one that cannot be read.
fn read(value: Value) -> Option<Mute> {
    serde_json::from_str(&reply::text(value).ok()?).ok()
}
