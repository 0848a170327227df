//! A primary and a replica, watched by Sentinels.

use crate::builder::Builder;
use crate::cluster::{port, wait};
use crate::error::Error;
use crate::server::Server;

/// The name of the service in the Sentinels' configuration.
const SERVICE: &str = "poolder";
/// Time of silence in milliseconds after which a Sentinel considers the primary down.
const DOWN_AFTER: &str = "1500";

/// A primary with one replica, watched by Sentinels.
#[derive(Debug)]
pub struct Sentinel {
    servers: [Server; 2],
    sentinels: Vec<Server>,
}

impl Sentinel {
    /// Starts the servers and the Sentinels, and returns when the replica is synchronized and every
    /// Sentinel knows the replica and the other Sentinels. A failover needs a majority of the
    /// Sentinels.
    ///
    /// # Errors
    /// Returns an error when no server program was found, or when the processes did not find each
    /// other within 30 s.
    pub fn start(sentinels: usize) -> Result<Self, Error> {
        Self::start_with(sentinels, |server| server)
    }

    /// Starts a setup like [`Sentinel::start`]; `settings` changes the settings of both servers.
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
        wait("the replica is synchronized", || {
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

    /// Returns the two servers; the first was the primary at the start.
    #[must_use]
    pub fn servers(&self) -> &[Server; 2] {
        &self.servers
    }

    /// Returns the Sentinels, in the order of the URL.
    #[must_use]
    pub fn sentinels(&self) -> &[Server] {
        &self.sentinels
    }

    /// Returns the primary according to the first Sentinel that answers.
    ///
    /// # Errors
    /// Returns an error when no Sentinel answers, or when the named server is not part of this
    /// setup.
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
            .ok_or_else(|| Error::failed(format!("the Sentinel named an unknown server: {answer}")))
    }

    /// Returns the URL for a Poolder client: `redis+sentinel://127.0.0.1:…,…/poolder`.
    #[must_use]
    pub fn url(&self) -> String {
        let hosts: Vec<String> =
            self.sentinels.iter().map(|one| format!("127.0.0.1:{}", port(one))).collect();
        format!("redis+sentinel://{}/{SERVICE}", hosts.join(","))
    }

    /// Makes the replica the primary, and returns when the old primary replicates from it.
    ///
    /// # Errors
    /// Returns an error when the Sentinels refuse, or when a step takes longer than 30 s.
    pub fn fail_over(&self) -> Result<(), Error> {
        let Some(sentinel) = self.sentinels.first() else { return Ok(()) };
        let ask = || sentinel.command(&["SENTINEL", "GET-MASTER-ADDR-BY-NAME", SERVICE]);
        let before = ask()?;
        // Right after another failover, the command is refused until the Sentinel knows the replica
        // as one.
        wait("a failover begins", || {
            Ok(sentinel.command(&["SENTINEL", "FAILOVER", SERVICE]).is_ok())
        })?;
        wait("a failover ends", || Ok(ask()? != before))?;
        wait("the old primary follows", || {
            // Sentinels close the connections of a server whose role they change.
            let follows = |server: &Server| {
                let about = server.command(&["INFO", "replication"]);
                about.is_ok_and(|about| about.contains("master_link_status:up"))
            };
            Ok(follows(&self.servers[0]) || follows(&self.servers[1]))
        })
    }
}
