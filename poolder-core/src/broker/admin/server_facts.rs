//! The state of the server that holds the roster: its `INFO`, the rights of the user, its answers to
//! pings, and its clock.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use redis::{ConnectionAddr, Value};

use crate::broker::Broker;
use crate::broker::admin::node_commands::{NODE_COMMANDS, name};
use crate::broker::admin::server_check::{REQUIRED_COMMANDS, info_fields};
use crate::broker::connection::reply;
use crate::broker::connection::reply::server_time;
use crate::job::{Error, Timestamp};

/// The number of pings.
const PINGS: usize = 20;
/// The state of a server, as far as the user may see it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerFacts {
    /// The fields of `INFO`; `None` when the user may not ask.
    pub info: Option<HashMap<String, String>>,
    /// The required commands that the server does not know.
    pub missing: Vec<String>,
    /// The commands of a node that the user may not run; `None` when the server does not tell.
    pub denied: Option<Vec<String>>,
    /// The setting `appendfsync`; `None` when the user may not ask.
    pub appendfsync: Option<String>,
    /// The round trips of 20 pings, the shortest first.
    pub pings: Vec<Duration>,
    /// The server's clock.
    pub now: Timestamp,
    /// By how much this host's clock is away from the server's, half a round trip at most uncertain.
    pub clock_off: Duration,
    /// The fields of `CLUSTER INFO`; `None` when the server belongs to no cluster, or the user may not
    /// ask.
    pub cluster: Option<HashMap<String, String>>,
    /// True when the connection is encrypted, or does not leave the machine.
    pub is_private: bool,
}

impl Broker {
    /// Reads the state of the server, of a cluster that of the server with the roster. Facts that
    /// the user may not read are left out.
    ///
    /// # Errors
    /// Returns an error when the server does not answer, or refuses the user or a ping.
    pub async fn server_facts(&self) -> Result<ServerFacts, Error> {
        let mut pings = Vec::with_capacity(PINGS);
        for _ in 0..PINGS {
            let sent = Instant::now();
            self.ping().await?;
            pings.push(sent.elapsed());
        }
        pings.sort_unstable();
        let roster = &self.roster_keys().nodes;
        let sent = Instant::now();
        let now = server_time(self.command(&redis::cmd("TIME")).await?)?;
        let middle = Timestamp::now() - sent.elapsed() / 2;
        let denied =
            |error: &Error| error.is_auth() || error.is_unsupported() || error.is_refused();
        let info = match self.command(redis::cmd("INFO").arg("everything")).await {
            Ok(reply) => Some(info_fields(reply)?),
            Err(error) if error.is_auth() => None,
            Err(error) => return Err(error),
        };
        let in_cluster = |info: &HashMap<String, String>| {
            info.get("cluster_enabled").is_some_and(|enabled| enabled == "1")
        };
        let cluster = match info.as_ref().is_some_and(in_cluster) {
            true => self.command(redis::cmd("CLUSTER").arg("INFO")).await.ok(),
            false => None,
        };
        let cluster = cluster.map(info_fields).transpose()?;
        let mut ask = redis::cmd("COMMAND");
        let missing = match self.command(ask.arg("INFO").arg(REQUIRED_COMMANDS)).await {
            Ok(known) => missing(&reply::array(known)?),
            Err(error) if denied(&error) => vec![],
            Err(error) => return Err(error),
        };
        let mut ask = redis::cmd("CONFIG");
        let appendfsync = match self.command(ask.arg("GET").arg("appendfsync")).await {
            Ok(pair) => reply::array(pair)?.pop().map(reply::text).transpose()?,
            Err(error) if denied(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(ServerFacts {
            info,
            missing,
            denied: self.denied(roster).await?,
            appendfsync,
            pings,
            now,
            cluster,
            clock_off: now.since(middle).max(middle.since(now)),
            is_private: self.is_private(),
        })
    }

    /// Asks which commands of a node the user may not run on a key; `None` when the server does not
    /// tell: Redis before 7, or a user who may not ask.
    async fn denied(&self, key: &str) -> Result<Option<Vec<String>>, Error> {
        let user = match self.command(redis::cmd("ACL").arg("WHOAMI")).await {
            Ok(user) => reply::text(user)?,
            Err(_) => return Ok(None),
        };
        let mut pipe = redis::pipe();
        for command in NODE_COMMANDS {
            let mut cmd = redis::cmd("ACL");
            cmd.arg("DRYRUN").arg(&user);
            for word in command.split(' ') {
                match word {
                    "K" | "C" => cmd.arg(key),
                    word => cmd.arg(word),
                };
            }
            pipe.add_command(cmd);
        }
        let mut denied = vec![];
        for (command, reply) in NODE_COMMANDS.iter().zip(self.pipeline(&pipe).await?) {
            // A user who may not ask, or a server that does not know the question.
            let Ok(reply) = reply else { return Ok(None) };
            if reply != Value::Okay {
                denied.push(name(command));
            }
        }
        Ok(Some(denied))
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

/// Returns the required commands that a reply to `COMMAND INFO` does not describe.
fn missing(known: &[Value]) -> Vec<String> {
    let unknown = |(_, about): &(&&str, &Value)| matches!(about, Value::Nil);
    let missing = REQUIRED_COMMANDS.iter().zip(known).filter(unknown);
    missing.map(|(name, _)| name.to_uppercase()).collect()
}
