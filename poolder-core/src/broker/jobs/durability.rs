//! How far a job must have come before its enqueue counts: memory, replicas, disk.

use std::time::Duration;

use redis::aio::ConnectionLike;
use redis::{Cmd, Pipeline, RedisResult, Value};

use tokio::time::Instant;

use crate::broker::connection::endpoint::Host;
use crate::broker::connection::failure::is_noscript;
use crate::broker::connection::reply;
use crate::broker::connection::send::{PATIENCE, PAUSE, Redirection};
use crate::broker::{Broker, scripts};
use crate::job::{Error, clamped_millis};

/// A confirmation is waited for no longer than this: the connection would give up before.
const LONGEST: Duration = Duration::from_secs(8);

/// What must have happened before an enqueue returns.
///
/// Each step is slower than the one before: beyond [`Durability::Memory`] an enqueue has a
/// connection for itself while it waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Durability {
    /// The server has it in memory. What that is worth is a matter of its `appendonly` setting;
    /// a failover may lose it. The default.
    #[default]
    Memory,
    /// At least that many replicas have it in memory. Together with `min-replicas-to-write` on the
    /// server it survives a failover.
    Replicated {
        /// How many replicas, 1 or more.
        replicas: u32,
        /// How long to wait for them, up to 8 s.
        timeout: Duration,
    },
    /// The server has it on its own disk, and that many replicas on theirs. Needs `appendonly` and
    /// Redis 7.2, or Valkey.
    Fsynced {
        /// How many replicas; 0 for none.
        replicas: u32,
        /// How long to wait, up to 8 s.
        timeout: Duration,
    },
}

impl Durability {
    /// That many replicas have it, within two seconds.
    #[must_use]
    pub fn replicated(replicas: u32) -> Self {
        Self::Replicated { replicas, timeout: Duration::from_secs(2) }
    }

    /// The server has it on its own disk, within two seconds.
    #[must_use]
    pub fn fsynced() -> Self {
        Self::Fsynced { replicas: 0, timeout: Duration::from_secs(2) }
    }

    /// Says whether it can be waited for.
    ///
    /// # Errors
    /// [`Error::is_invalid`] for no replicas where some are needed, and for a time that is zero or
    /// above 8 s.
    pub fn check(&self) -> Result<(), Error> {
        let (enough, timeout) = match self {
            Self::Memory => return Ok(()),
            Self::Replicated { replicas, timeout } => (*replicas > 0, timeout),
            Self::Fsynced { timeout, .. } => (true, timeout),
        };
        if !enough {
            return Err(Error::invalid("Replicated needs 1 replica or more: use Memory for none"));
        }
        // Zero would mean to wait for ever.
        if timeout.as_millis() == 0 || *timeout > LONGEST {
            return Err(Error::invalid(format!(
                "a durability timeout is 1 ms to {LONGEST:?}, not {timeout:?}"
            )));
        }
        Ok(())
    }

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

    /// Reads what was confirmed.
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
        let place = if disk < 1 { "its own disk does not have it, and " } else { "" };
        Err(Error::unknown(format!(
            "the server has the job, but {place}only {replicas} of {wanted} replicas confirmed it \
             within {timeout:?}: a failover may lose it; look for it, or enqueue it again idempotently"
        )))
    }
}

/// A reply per command, and whether what they wrote is where it must be.
type Sent = (Vec<RedisResult<Value>>, Result<(), Error>);

impl Broker {
    /// Sends commands on a connection of their own and waits until what they wrote is where it
    /// must be. One reply per command, and whether that was confirmed. Where their slot has moved,
    /// and nothing was done, they follow it.
    pub(in crate::broker) async fn durably(
        &self,
        key: &str,
        durability: Durability,
        pipe: &Pipeline,
    ) -> Result<Sent, Error> {
        let since = Instant::now();
        let mut ask = None;
        loop {
            let sent = self.durably_at(key, ask.take(), durability, pipe).await?;
            let lead = |reply: &RedisResult<Value>| {
                reply.as_ref().err().and_then(|error| self.inner.redirection(error))
            };
            let leads: Option<Vec<Redirection>> = sent.0.iter().map(lead).collect();
            match leads.and_then(|leads| leads.into_iter().next()) {
                Some(_) if since.elapsed() > PATIENCE => return Ok(sent),
                Some(Redirection::Ask(host)) => ask = Some(host),
                Some(_) => tokio::time::sleep(PAUSE).await,
                None => return Ok(sent),
            }
        }
    }

    /// The same at the server that is known to have the key, or, of a slot on the move, at the one
    /// that another server named.
    async fn durably_at(
        &self,
        key: &str,
        host: Option<Host>,
        durability: Durability,
        pipe: &Pipeline,
    ) -> Result<Sent, Error> {
        let asking = host.is_some();
        let mut connection = self.alone_at(key, host).await?;
        let mut all = redis::pipe();
        for cmd in pipe.cmd_iter() {
            if asking {
                all.cmd("ASKING");
            }
            all.add_command(cmd.clone());
        }
        if let Some(wait) = durability.wait() {
            if matches!(durability, Durability::Fsynced { .. }) {
                // Better to hear now than when the job is stored already.
                let mut ask = redis::cmd("WAITAOF");
                let able = connection.req_packed_command(ask.arg(1).arg(0).arg(1)).await;
                able.and_then(reply::checked).map_err(|error| {
                    Error::unsupported(format!(
                        "Redis at {} cannot say when a job is on disk, nothing was stored: \
                         {error}; Fsynced needs appendonly yes and Redis 7.2 or Valkey",
                        self.address()
                    ))
                })?;
            }
            all.add_command(wait);
        }
        let load = scripts::load_all();
        for _ in 0..2 {
            let sent = connection.req_packed_commands(&all, 0, all.len()).await;
            let replies = sent.map_err(|error| {
                // What this connection may still say belongs to nobody.
                self.classify(error)
            });
            let replies = match replies {
                Ok(replies) => replies,
                Err(error) => {
                    drop(deadpool_redis::Connection::take(connection));
                    return Err(error);
                }
            };
            let mut replies: Vec<_> = replies
                .into_iter()
                .enumerate()
                // Every other one says that asking is allowed, but for the one that waits.
                .filter(|(at, _)| !asking || at % 2 == 1 || *at == 2 * pipe.len())
                .map(|(_, reply)| reply::checked(reply))
                .collect();
            if replies.iter().any(|reply| reply.as_ref().is_err_and(is_noscript)) {
                // All of them, or none: they are calls of the same script.
                connection
                    .req_packed_commands(&load, 0, load.len())
                    .await
                    .map_err(|error| self.classify(error))?;
                continue;
            }
            let confirmed = match replies.pop() {
                Some(Ok(reply)) => durability.confirmed(reply),
                // Whatever keeps it from being confirmed, what was stored is stored.
                Some(Err(error)) => Err(Error::unknown(format!(
                    "Redis at {} could not confirm that replicas or disk have it ({error}): a \
                     failover may lose it; look for it, or enqueue it again idempotently",
                    self.address()
                ))),
                None => Err(Error::unknown("a pipeline came back empty")),
            };
            return Ok((replies, confirmed));
        }
        Err(Error::refused("the server keeps forgetting scripts"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_waited_for_is_refused() {
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
