//! The command line: its commands, and the options that they share.

use clap::{Parser, Subcommand};
use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::Config;

use crate::schedule::Verb;

/// Manages the queues of Poolder.
///
/// Connects to the server of --redis, else of POOLDER_REDIS_URL, else of REDIS_URL, else to the
/// local one. Exits with 0 on success, 1 on failure, 2 on a wrong command line.
#[derive(Debug, Parser)]
#[command(name = "poolder", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// The subjects of commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Jobs that recur: add, change, pause, resume, remove, run, list and preview schedules.
    Schedule {
        #[command(subcommand)]
        verb: Verb,
    },
}

/// The options for the server and the form of the output.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The server: redis://user:password@host:6379/0. Put a password into POOLDER_REDIS_URL
    /// instead: other users of the host can see command lines.
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// The first part of every key [default: POOLDER_NAMESPACE, else poolder].
    #[arg(long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// Write the output in JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// Connects and pings the server, so that an unreachable server is reported before the command
    /// starts.
    pub(crate) async fn client(&self) -> Result<Client, Error> {
        let mut config = Config::from_env();
        if let Some(url) = &self.redis {
            config = Config::new(url);
            if let Some(name) = set("POOLDER_NAMESPACE") {
                config = config.namespace(name);
            }
        }
        if let Some(name) = &self.namespace {
            config = config.namespace(name);
        }
        let client = Client::new(config)?;
        client.ping().await?;
        Ok(client)
    }
}

impl std::fmt::Debug for Common {
    /// Leaves the URL out, since it may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
