//! The server of the demo, and the namespace of this run.

use std::time::{Duration, SystemTime};

use poolder::Result;
use redis::AsyncConnectionConfig;
use redis::aio::MultiplexedConnection;

const URL: &str = "POOLDER_REDIS_URL";
const NAMESPACE: &str = "POOLDER_NAMESPACE";

/// The limit for an answer. Redis answers in less than a millisecond, but a busy machine may take
/// longer than the client's default of half a second.
const PATIENCE: Duration = Duration::from_secs(10);

/// A namespace on a server.
#[derive(Clone)]
pub(crate) struct Space {
    url: String,
    namespace: String,
}

impl Space {
    /// Returns a new namespace on the server of the environment. Existing keys are not touched.
    pub(crate) fn fresh() -> Self {
        let since_1970 = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default();
        let namespace = format!("demo-{}-{}", std::process::id(), since_1970.as_millis());
        Self { url: url(), namespace }
    }

    /// Returns the namespace `demo` on the server of the environment, which a dashboard may show
    /// before the demo begins. The server must be private.
    pub(crate) fn watched() -> Self {
        Self { url: url(), namespace: "demo".into() }
    }

    /// Returns the namespace that the parent process passed on with [`Space::environment`].
    pub(crate) fn from_env() -> Result<Self> {
        Ok(Self { url: url(), namespace: std::env::var(NAMESPACE)? })
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.namespace
    }

    /// Returns the environment of the demo's processes. `Client::from_env` reads it.
    pub(crate) fn environment(&self) -> [(&'static str, &str); 2] {
        [(URL, &self.url), (NAMESPACE, &self.namespace)]
    }

    /// Opens a connection of the example, besides those of Poolder's client.
    pub(crate) async fn connect(&self) -> Result<MultiplexedConnection> {
        let client = redis::Client::open(self.url.as_str())?;
        let patient = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE));
        Ok(client.get_multiplexed_async_connection_with_config(&patient).await?)
    }

    /// Removes all keys of the namespace. On a server that is not private they would remain.
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

/// Returns the URL of the server, with the same default as `Client::from_env`.
fn url() -> String {
    let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    let url = set(URL).or_else(|| set("REDIS_URL"));
    url.unwrap_or_else(|| "redis://127.0.0.1:6379/".into())
}
