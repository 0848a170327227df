//! A primary, a replica, and Sentinels that watch them.

use crate::builder::Builder;
use crate::cluster::{port, wait};
use crate::error::Error;
use crate::server::Server;

/// The name under which the Sentinels know the service.
const SERVICE: &str = "poolder";
/// How long the primary may be silent before a Sentinel thinks it is down, in ms.
const DOWN_AFTER: &str = "1500";

/// A primary with one replica, watched by Sentinels.
#[derive(Debug)]
pub struct Sentinel {
    servers: [Server; 2],
    sentinels: Vec<Server>,
}

impl Sentinel {
    /// Starts them, and returns when the replica is in step and every Sentinel knows it. A
    /// majority of the Sentinels is needed for a failover.
    ///
    /// # Errors
    /// No server program was found, or they did not find each other in time.
    pub fn start(sentinels: usize) -> Result<Self, Error> {
        Self::start_with(sentinels, |server| server)
    }

    /// The same, with other than the default settings for both servers.
    ///
    /// # Errors
    /// As [`Sentinel::start`].
    pub fn start_with(
        sentinels: usize,
        settings: impl Fn(Builder) -> Builder,
    ) -> Result<Self, Error> {
        let plain = || Server::builder().tcp().arg("repl-diskless-sync-delay", "0");
        let server = || settings(plain()).start();
        let servers = [server()?, server()?];
        let primary = port(&servers[0]).to_string();
        servers[1].command(&["REPLICAOF", "127.0.0.1", &primary])?;
        wait("the replica is in step", || {
            Ok(servers[1].command(&["INFO", "replication"])?.contains("master_link_status:up"))
        })?;
        let quorum = sentinels / 2 + 1;
        let config = format!(
            "sentinel monitor {SERVICE} 127.0.0.1 {primary} {quorum}\n\
             sentinel down-after-milliseconds {SERVICE} {DOWN_AFTER}\n\
             sentinel failover-timeout {SERVICE} 5000\n"
        );
        let sentinel = |_| Server::builder().tcp().sentinel(config.clone()).start();
        let sentinels = (0..sentinels).map(sentinel).collect::<Result<Vec<_>, _>>()?;
        let others = (sentinels.len() - 1).to_string();
        for sentinel in &sentinels {
            wait("every Sentinel knows all", || {
                let about = sentinel.command(&["SENTINEL", "MASTER", SERVICE])?;
                let field = |name: &str| {
                    about.lines().skip_while(|line| *line != name).nth(1).map(str::to_owned)
                };
                Ok(field("num-slaves").as_deref() == Some("1")
                    && field("num-other-sentinels").as_deref() == Some(others.as_str()))
            })?;
        }
        Ok(Self { servers, sentinels })
    }

    /// The two servers; the first was the primary at the start.
    #[must_use]
    pub fn servers(&self) -> &[Server; 2] {
        &self.servers
    }

    /// The primary, as the first Sentinel that answers knows it.
    ///
    /// # Errors
    /// None answers, or it names a server that is not ours.
    pub fn primary(&self) -> Result<&Server, Error> {
        let mut answer = Err(Error::failed("there is no Sentinel to ask".to_owned()));
        for sentinel in &self.sentinels {
            answer = sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
            if answer.is_ok() {
                break;
            }
        }
        let answer = answer?;
        let named = answer.lines().nth(1).and_then(|line| line.parse().ok());
        self.servers
            .iter()
            .find(|server| server.port() == named)
            .ok_or_else(|| Error::failed(format!("no server of ours: {answer}")))
    }

    /// The URL for a client of Poolder: `redis+sentinel://127.0.0.1:…,…/poolder`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|one| format!("127.0.0.1:{}", port(one))).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Makes the replica the primary, and returns when the old one follows it.
    ///
    /// # Errors
    /// The Sentinels refused, or it took too long.
    pub fn fail_over(&self) -> Result<(), Error> {
        let Some(sentinel) = self.sentinels.first() else { return Ok(()) };
        let ask = || sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        let before = ask()?;
        // Right after another failover it has to wait until the replica is known to be one.
        wait("a failover begins", || {
            Ok(sentinel.command(&["SENTINEL", "FAILOVER", SERVICE]).is_ok())
        })?;
        wait("a failover ends", || Ok(ask()? != before))?;
        wait("the old primary follows", || {
            // Sentinels cut the connections of a server that they give another role.
            let follows = |server: &Server| {
                let about = server.command(&["INFO", "replication"]);
                about.is_ok_and(|about| about.contains("master_link_status:up"))
            };
            Ok(follows(&self.servers[0]) || follows(&self.servers[1]))
        })
    }
}
