//! [`Durability`]: where a job must be stored before its enqueue returns: in memory, on replicas,
//! or on disk.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisError, RedisResult, Value};

use crate::broker::Broker;
use crate::broker::connection::endpoint::Host;
use crate::broker::connection::limit::Limit;
use crate::broker::connection::peer::is_lost;
use crate::broker::connection::reply;
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::connection::send::{PATIENCE, PAUSE, Redirection};
use crate::job::{Error, clamped_millis};

/// The maximum timeout of a confirmation. The connection has a time limit of at least 10 s per
/// reply, which a longer wait could exceed.
const MAX_TIMEOUT: Duration = Duration::from_secs(8);

/// The storage that must be confirmed before an enqueue returns.
///
/// Each level is slower than the one before. Beyond [`Durability::Memory`] an enqueue uses a
/// connection alone while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Durability {
    /// The server has the job in memory. Whether the job survives a restart of the server depends
    /// on its `appendonly` setting; a failover may lose the job. The default.
    #[default]
    Memory,
    /// At least `replicas` replicas have the job in memory. Together with `min-replicas-to-write`
    /// on the server the job survives a failover.
    Replicated {
        /// The number of replicas, 1 or more.
        replicas: u32,
        /// The time limit for the confirmation, up to 8 s.
        timeout: Duration,
    },
    /// The server has the job on its own disk, and `replicas` replicas have it on theirs. Needs
    /// `appendonly` and Redis 7.2, or Valkey.
    Fsynced {
        /// The number of replicas; 0 for none.
        replicas: u32,
        /// The time limit for the confirmation, up to 8 s.
        timeout: Duration,
    },
}

impl Durability {
    /// Returns [`Durability::Replicated`] with a timeout of two seconds.
    #[must_use]
    pub fn replicated(replicas: u32) -> Self {
        Self::Replicated { replicas, timeout: Duration::from_secs(2) }
    }

    /// Returns [`Durability::Fsynced`] without replicas and with a timeout of two seconds.
    #[must_use]
    pub fn fsynced() -> Self {
        Self::Fsynced { replicas: 0, timeout: Duration::from_secs(2) }
    }

    /// Checks the number of replicas and the timeout.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for [`Durability::Replicated`] with 0 replicas, and for a timeout
    /// below 1 ms or above 8 s.
    pub fn check(&self) -> Result<(), Error> {
        let (enough, timeout) = match self {
            Self::Memory => return Ok(()),
            Self::Replicated { replicas, timeout } => (*replicas > 0, timeout),
            Self::Fsynced { timeout, .. } => (true, timeout),
        };
        if !enough {
            return Err(Error::invalid("Replicated needs 1 replica or more: use Memory for none"));
        }
        // The server takes 0 as no time limit.
        if timeout.as_millis() == 0 || *timeout > MAX_TIMEOUT {
            return Err(Error::invalid(format!(
                "a durability timeout is 1 ms to {MAX_TIMEOUT:?}, not {timeout:?}"
            )));
        }
        Ok(())
    }

    /// Returns the command that waits for the confirmation, `None` when none is needed.
    fn wait(&self) -> Option<Cmd> {
        let mut cmd = Cmd::new();
        match self {
            Self::Memory => return None,
            Self::Replicated { replicas, timeout } => {
                cmd.arg("WAIT").arg(*replicas).arg(clamped_millis(*timeout));
            }
            Self::Fsynced { replicas, timeout } => {
                cmd.arg("WAITAOF").arg(1).arg(*replicas).arg(clamped_millis(*timeout));
            }
        }
        Some(cmd)
    }

    /// Returns the time limit for the confirmation.
    fn timeout(&self) -> Duration {
        match self {
            Self::Memory => Duration::ZERO,
            Self::Replicated { timeout, .. } | Self::Fsynced { timeout, .. } => *timeout,
        }
    }

    /// Reads the reply to the waiting command.
    ///
    /// # Errors
    /// [`Error::is_unknown`] when fewer copies were confirmed than asked for.
    fn confirmed(&self, reply: Value) -> Result<(), Error> {
        let (disk, replicas) = match self {
            Self::Fsynced { .. } => {
                let [disk, replicas] = reply::items::<2>(reply)?;
                (reply::int(disk)?, reply::int(replicas)?)
            }
            _ => (1, reply::int(reply)?),
        };
        let (wanted, timeout) = match self {
            Self::Memory => return Ok(()),
            Self::Replicated { replicas, timeout } | Self::Fsynced { replicas, timeout } => {
                (i64::from(*replicas), timeout)
            }
        };
        if disk >= 1 && replicas >= wanted {
            return Ok(());
        }
        let disk_note = if disk < 1 { "its own disk does not have it, and " } else { "" };
        Err(Error::unknown(format!(
            "the server has the job, but {disk_note}only {replicas} of {wanted} replicas confirmed \
             it within {timeout:?}: a failover may lose it; look for it, or enqueue it again \
             idempotently"
        )))
    }
}

/// One reply per command, and whether the durability of their writes was confirmed.
type Sent = (Replies, Result<(), Error>);

impl Broker {
    /// Sends commands on a separate connection and waits until the durability of their writes is
    /// confirmed. Returns one reply per command, and the confirmation. When the slot has moved and
    /// none of the commands was executed, sends them again to the server that has the slot.
    pub(in crate::broker) async fn durably(
        &self,
        key: &str,
        durability: Durability,
        pipe: &Pipeline,
        limit: &mut Limit,
    ) -> Result<Sent, Error> {
        let mut ask = None;
        loop {
            let sent = self.durably_at(key, ask.take(), durability, pipe, limit).await?;
            let redirection = |reply: &RedisResult<Value>| {
                reply.as_ref().err().and_then(|error| self.inner.redirection(error))
            };
            let redirections: Option<Vec<Redirection>> = sent.0.iter().map(redirection).collect();
            match redirections.and_then(|all| all.into_iter().next()) {
                Some(_) if limit.leaves_no_try(PAUSE, PATIENCE) => return Ok(sent),
                Some(Redirection::Ask(host)) => ask = Some(host),
                Some(_) => tokio::time::sleep(PAUSE).await,
                None => return Ok(sent),
            }
            limit.next_step();
        }
    }

    /// Returns the error of an enqueue whose server was asked whether it supports `WAITAOF`, before
    /// the job was stored.
    fn unsynced(&self, error: RedisError) -> Error {
        let address = self.address();
        match error.code() {
            Some("ERR") => Error::unsupported(format!(
                "Redis at {address} cannot say when a job is on disk, nothing was stored: {error}; \
                 Fsynced needs appendonly yes and Redis 7.2 or Valkey"
            )),
            _ if error.is_io_error() => Error::refused(format!(
                "Redis at {address} did not answer, nothing was stored: {error}"
            )),
            _ => self.classify(error),
        }
    }

    /// Like [`Broker::durably`], but makes one try: at `host` if a redirection named one, else at
    /// the server that has the key.
    async fn durably_at(
        &self,
        key: &str,
        host: Option<Host>,
        durability: Durability,
        pipe: &Pipeline,
        limit: &mut Limit,
    ) -> Result<Sent, Error> {
        let asking = host.is_some();
        let mut connection = self.alone_at(key, host, limit).await?;
        if matches!(durability, Durability::Fsynced { .. }) {
            // A server without support is detected before the job is stored.
            let mut ask = redis::cmd("WAITAOF");
            let supported = connection.req_packed_command(ask.arg(1).arg(0).arg(1));
            let supported = limit.bound(supported).await;
            supported.and_then(reply::checked).map_err(|error| self.unsynced(error))?;
        }
        let wait = durability.wait();
        let request = Request::new(pipe).asking(asking).confirmed_by(wait.as_ref());
        let mut limit = limit.extended_by(durability.timeout());
        let trip = self.inner.round_trips.trip(RedisOperation::Enqueue);
        let sent = request.send_within(&mut limit, &mut connection).await;
        self.inner.round_trips.end_all(trip, &sent);
        if is_lost(&sent) {
            drop(deadpool_redis::Connection::take(connection));
        }
        let mut replies = sent.map_err(|error| self.classify(error))?;
        let confirmed = match replies.pop() {
            Some(Ok(reply)) => durability.confirmed(reply),
            // The commands were executed, even though the confirmation failed.
            Some(Err(error)) => Err(Error::unknown(format!(
                "Redis at {} could not confirm that replicas or disk have it ({error}): a failover \
                 may lose it; look for it, or enqueue it again idempotently",
                self.address()
            ))),
            None => Err(Error::unknown("the reply to a pipeline was empty")),
        };
        Ok((replies, confirmed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_impossible_durability_is_refused() {
        let s = Duration::from_secs;
        let bad = [
            Durability::Replicated { replicas: 0, timeout: s(1) },
            Durability::Replicated { replicas: 1, timeout: s(0) },
            Durability::Fsynced { replicas: 0, timeout: s(9) },
        ];
        assert!(bad.iter().all(|one| one.check().is_err_and(|error| error.is_invalid())));
        let good = [Durability::Memory, Durability::replicated(2), Durability::fsynced()];
        assert!(good.iter().all(|one| one.check().is_ok()));
    }

    #[test]
    fn fewer_confirmations_than_asked_for_are_unknown() {
        let two = Durability::replicated(2);
        assert!(two.confirmed(Value::Int(2)).is_ok());
        let error = two.confirmed(Value::Int(1)).unwrap_err();
        assert!(error.is_unknown() && error.to_string().contains("1 of 2"), "{error}");
        let disk = Durability::fsynced();
        let reply = |local, replicas| Value::Array(vec![Value::Int(local), Value::Int(replicas)]);
        assert!(disk.confirmed(reply(1, 0)).is_ok());
        assert!(disk.confirmed(reply(0, 0)).unwrap_err().to_string().contains("own disk"));
    }
}
