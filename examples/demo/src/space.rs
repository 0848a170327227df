//! Where the demo lives: a server, and a namespace of its own on it.

use std::time::{Duration, SystemTime};

use poolder::prelude::Result;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

const URL: &str = "POOLDER_REDIS_URL";
const NAMESPACE: &str = "POOLDER_NAMESPACE";

/// Redis answers in less than a millisecond, but this machine may have much else to do: the
/// client's own limit of half a second would be too little.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace on a server.
#[derive(Clone)]
pub(crate) struct Space {
    url: String,
    namespace: String,
}

impl Space {
    /// A new one, on the server of the environment: nothing that is already there is touched.
    pub(crate) fn fresh() -> Self {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let namespace = format!("demo-{}-{}", std::process::id(), since_1970.as_millis());
        Self { url: url(), namespace }
    }

    /// The one that [`Space::environment`] handed down.
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self { url: url(), namespace: std::env::var(NAMESPACE)? })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// What a process of this demo has to have in its environment; `Client::from_env` reads it.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 2] {
        [(URL, &self.url), (NAMESPACE, &self.namespace)]
    }

    /// A connection of the example's own.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(self.url.as_str())?;
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Ok(client.get_multiplexed_async_connection_with_config(&patient).await?)
    }

    /// Removes all keys of the namespace: on a server that is not private they would stay.
    pub(crate) async fn clear(&self) -> Result<()> {
        let clear = async {
            let mut connection = self.connect().await?;
            let mut cursor = 0;
            loop {
                let (next, keys): (u64, Vec<Vec<u8>>) = redis::cmd("SCAN")
                    .arg(cursor)
                    .arg("MATCH")
                    .arg(format!("{}:*", self.namespace))
                    .arg("COUNT")
                    .arg(1_000)
                    .query_async(&mut connection)
                    .await?;
                if !keys.is_empty() {
                    redis::Cmd::unlink(keys).query_async::<()>(&mut connection).await?;
                }
                if next == 0 {
                    return Ok(());
                }
                cursor = next;
            }
        };
        tokio::time::timeout(PATIENCE, clear).await?
    }
}

/// As `Client::from_env` finds it.
fn url() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = set(URL).or_else(|| set("REDIS_URL"));
    url.unwrap_or_else(|| "redis://127.0.0.1:6379/".into())
}
