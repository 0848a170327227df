//! The state of the server that holds the roster: its `INFO`, the rights of the user, and its clock.

use std::time::{Duration, Instant};

use redis::{ConnectionAddr, Value};

use crate::broker::Broker;
use crate::broker::admin::node_commands::{NODE_COMMANDS, name};
use crate::broker::admin::server_info::{ServerInfo, ask_commands, missing_commands, read_info};
use crate::broker::admin::server_view::Latency;
use crate::broker::connection::reply;
use crate::broker::connection::reply::server_time;
use crate::job::{Error, Timestamp};

/// The state of a server, as far as the user may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// The fields of `INFO`; `None` when the user may not ask.
    pub info: Option<ServerInfo>,
    /// The required commands that the server does not know.
    pub missing: Vec<String>,
    /// The commands of a node that the user may not run; `None` when the server does not tell.
    pub denied: Option<Vec<String>>,
    /// The setting `appendfsync`; `None` when the user may not ask.
    pub appendfsync: Option<String>,
    /// The server's clock.
    pub now: Timestamp,
    /// By how much this host's clock is away from the server's, half a round trip at most uncertain.
    pub clock_off: Duration,
    /// The round trips by which the clock was read; `None` when it was read with other commands.
    pub latency: Option<Latency>,
    /// The fields of `CLUSTER INFO`; `None` when the server belongs to no cluster, or the user may not
    /// ask.
    pub cluster: Option<ServerInfo>,
    /// True when the connection is encrypted, or does not leave the machine.
    pub is_private: bool,
}

/// The number of times that the clock is read.
const CLOCK_READINGS: usize = 3;

/// The clock of a server, as three round trips have shown it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerClock {
    /// The server's clock.
    pub now: Timestamp,
    off: Duration,
    latency: Option<Latency>,
}

impl Broker {
    /// Reads the clock of the server with the roster, in three round trips.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or refuses the user.
    pub async fn server_clock(&self) -> Result<ServerClock, Error> {
        let (mut now, mut off, mut times) = (Timestamp::default(), Duration::ZERO, vec![]);
        for _ in 0..CLOCK_READINGS {
            // Asked alone, since the difference of the clocks is uncertain by half of a round trip.
            let sent = Instant::now();
            now = server_time(self.command(&redis::cmd("TIME")).await?)?;
            let took = sent.elapsed();
            if times.iter().all(|other| took < *other) {
                let middle = Timestamp::now() - took / 2;
                off = now.since(middle).max(middle.since(now));
            }
            times.push(took);
        }
        Ok(ServerClock { now, off, latency: Latency::of(times) })
    }

    /// Reads the clock and the `INFO` of the server with the roster, in one round trip. The other
    /// facts are missing.
    ///
    /// # Errors
    /// As [`Broker::server_clock`].
    pub async fn server_info(&self) -> Result<ServerFacts, Error> {
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("INFO").arg("everything");
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || {
            let reply = replies.next().unwrap_or(Ok(Value::Nil));
            reply.map_err(|error| self.classify(error))
        };
        let (now, info) = (server_time(next()?)?, read_info(next())?);
        Ok(ServerFacts { now, info, ..ServerFacts::default() })
    }

    /// Reads the state of the server whose clock was read, of a cluster that of the server with the
    /// roster, in two round trips. Facts that the user may not read are left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or refuses the user.
    pub async fn server_facts(&self, clock: ServerClock) -> Result<ServerFacts, Error> {
        let denied =
            |error: &Error| error.is_auth() || error.is_unsupported() || error.is_refused();
        let mut pipe = redis::pipe();
        pipe.cmd("INFO").arg("everything");
        pipe.add_command(ask_commands());
        pipe.cmd("CONFIG").arg("GET").arg("appendfsync");
        pipe.cmd("ACL").arg("WHOAMI");
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let mut next = || {
            let reply = replies.next().unwrap_or(Ok(Value::Nil));
            reply.map_err(|error| self.classify(error))
        };
        let (info, missing) = (read_info(next())?, missing_commands(next())?);
        let appendfsync = match next() {
            Ok(pair) => reply::array(pair)?.pop().map(reply::text).transpose()?,
            Err(error) if denied(&error) => None,
            Err(error) => return Err(error),
        };
        let user = next().ok().and_then(|user| reply::text(user).ok());
        let in_cluster =
            info.as_ref().is_some_and(|info| info.field("cluster_enabled") == Some("1"));
        let (denied, cluster) = self.rights_of(user.as_deref(), in_cluster).await?;
        Ok(ServerFacts {
            info,
            missing,
            denied,
            appendfsync,
            now: clock.now,
            cluster: cluster.map(ServerInfo::read).transpose()?,
            clock_off: clock.off,
            latency: clock.latency,
            is_private: self.is_private(),
        })
    }

    /// Asks which commands of a node the user may not run on a key of the roster, and in a cluster for
    /// its state. The first is `None` when the server does not tell: Redis before 7, or a user who may
    /// not ask; the second, too, outside of a cluster.
    async fn rights_of(
        &self,
        user: Option<&str>,
        in_cluster: bool,
    ) -> Result<(Option<Vec<String>>, Option<Value>), Error> {
        let key = &self.roster_keys().nodes;
        let mut pipe = redis::pipe();
        if in_cluster {
            pipe.cmd("CLUSTER").arg("INFO");
        }
        for command in NODE_COMMANDS.iter().filter(|_| user.is_some()) {
            let mut cmd = redis::cmd("ACL");
            cmd.arg("DRYRUN").arg(user);
            for word in command.split(' ') {
                match word {
                    "K" | "C" => cmd.arg(key),
                    word => cmd.arg(word),
                };
            }
            pipe.add_command(cmd);
        }
        if pipe.is_empty() {
            return Ok((None, None));
        }
        let mut replies = self.pipeline(&pipe).await?.into_iter();
        let cluster = if in_cluster { replies.next().and_then(Result::ok) } else { None };
        if user.is_none() {
            return Ok((None, cluster));
        }
        let mut denied = vec![];
        for (command, reply) in NODE_COMMANDS.iter().zip(replies) {
            // A user who may not ask, or a server that does not know the question.
            let Ok(reply) = reply else { return Ok((None, cluster)) };
            if reply != Value::Okay {
                denied.push(name(command));
            }
        }
        Ok((Some(denied), cluster))
    }

    /// Returns true when the connection is encrypted, or does not leave the machine.
    fn is_private(&self) -> bool {
        let local = |host: &str| {
            let is_local = |ip: std::net::IpAddr| ip.is_loopback();
            host == "localhost" || host.parse().is_ok_and(is_local)
        };
        match self.inner.config.endpoint() {
            Ok(found) => match found.template.addr() {
                ConnectionAddr::Tcp(host, _) => local(host),
                ConnectionAddr::TcpTls { .. } | ConnectionAddr::Unix(_) => true,
                _ => true,
            },
            Err(_) => true,
        }
    }
}
