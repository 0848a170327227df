//! The deploys of a namespace, and when each was seen first.

use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::{Broker, scripts};
use crate::job::{Error, Timestamp};

/// The most deploys that are kept; the oldest go first.
const MAX_DEPLOYS: usize = 100;

/// A deploy, and when a node of it was seen first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct DeployMark {
    /// The name of the deploy, as nodes have it in the roster.
    pub deploy: String,
    /// When its first node started, by the server's clock.
    pub first_seen: Timestamp,
}

impl Broker {
    /// Records that a node of this deploy runs. Returns true for the first one.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn mark_deploy(&self, deploy: &str, now: Timestamp) -> Result<bool, Error> {
        let key = &self.roster_keys().history.deploys;
        let mut cmd = scripts::write("HSETNX", key);
        cmd.arg(deploy).arg(now.millis());
        if reply::int(self.command(&cmd).await?)? == 0 {
            return Ok(false);
        }
        let marks = self.deploys().await?;
        let more = marks.len().saturating_sub(MAX_DEPLOYS);
        for mark in &marks[..more] {
            let mut cmd = redis::cmd("HDEL");
            cmd.arg(key).arg(&mark.deploy);
            self.command(&cmd).await?;
        }
        Ok(true)
    }

    /// Returns the last 100 deploys, the earliest first.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn deploys(&self) -> Result<Vec<DeployMark>, Error> {
        let mut cmd = redis::cmd("HGETALL");
        cmd.arg(&self.roster_keys().history.deploys);
        let mut fields = reply::array(self.command(&cmd).await?)?.into_iter();
        let mut marks = vec![];
        while let (Some(deploy), Some(at)) = (fields.next(), fields.next()) {
            marks.extend(read_mark(deploy, at));
        }
        marks.sort_by(|one, next| {
            (one.first_seen, &one.deploy).cmp(&(next.first_seen, &next.deploy))
        });
        Ok(marks)
    }
}

/// Reads a mark; `None` for one that Poolder has not written.
fn read_mark(deploy: Value, at: Value) -> Option<DeployMark> {
    let first_seen = Timestamp::from_millis(reply::int(at).ok()?);
    Some(DeployMark { deploy: reply::text(deploy).ok()?, first_seen })
}
