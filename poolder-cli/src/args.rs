//! What all commands share.

use clap::{Parser, Subcommand};
use poolder_client::Client;
use poolder_core::Error;
use poolder_core::broker::Config;

use crate::schedule::Verb;

/// Looks after the queues of Poolder.
///
/// The server is the one of --redis, else of POOLDER_REDIS_URL, else of REDIS_URL, else the local
/// one. Exits with 0 when it was done, 1 when it could not be done, 2 when it was not understood.
#[derive(Debug, Parser)]
#[command(name = "poolder", version)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) noun: Noun,
}

/// What a command is about.
#[derive(Debug, Subcommand)]
pub(crate) enum Noun {
    /// Jobs that recur: add, change, pause, resume, remove, run, list and preview schedules.
    Schedule {
        #[command(subcommand)]
        verb: Verb,
    },
}

/// Where the server is, and how the answer shall look.
#[derive(clap::Args)]
pub(crate) struct Common {
    /// The server: redis://user:password@host:6379/0. A password belongs into
    /// POOLDER_REDIS_URL instead: others may see this line.
    #[arg(long, global = true, value_name = "URL")]
    redis: Option<String>,
    /// The first part of every key [default: POOLDER_NAMESPACE, else poolder].
    #[arg(long, global = true, value_name = "NAME")]
    namespace: Option<String>,
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

impl Common {
    /// Connects, so that a server that is not there is said once and clearly.
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
    /// The URL may hold a password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Common").field("namespace", &self.namespace).finish_non_exhaustive()
    }
}

fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
