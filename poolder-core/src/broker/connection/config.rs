//! [`Config`]: the address of the server, the timeouts and the certificates. The password never
//! leaves this module as text.

use std::fmt;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};

use crate::broker::connection::endpoint::Endpoint;
use crate::broker::connection::tls::Certificates;
use crate::broker::keys::{DEFAULT_NAMESPACE, Keyspace};
use crate::job::Error;

/// The time for which a claim waits for jobs when all lanes are empty.
pub(in crate::broker) const BLOCK: Duration = Duration::from_secs(5);

/// The settings of the connections to Redis.
///
/// ```
/// use poolder_core::broker::Config;
///
/// let config = Config::new("redis://:secret@localhost:6379/0").namespace("shop");
/// assert!(!format!("{config:?}").contains("secret"));
/// ```
#[derive(Clone)]
pub struct Config {
    url: String,
    namespace: String,
    connect_timeout: Duration,
    response_timeout: Duration,
    certificates: Certificates,
}

impl Config {
    /// Creates a configuration for the server at this URL:
    ///
    /// - `redis://[user:password@]host[:port][/db]`, or `unix:///path/to/socket`;
    /// - `redis+sentinel://[user:password@]host[:port],host[:port]…/service[/db]`, for the primary
    ///   that these Sentinels report (default port 26379). A Sentinel that asks for a password gets
    ///   the same user and password, or those of the options
    ///   `?sentinel_user=…&sentinel_password=…`, of which the user may be left out;
    /// - `redis+cluster://[user:password@]host[:port],host[:port]…`, for the cluster of these
    ///   nodes, any of which may answer (default port 6379).
    ///
    /// With the feature `tls`, `rediss` in place of `redis` encrypts the connection. Characters that
    /// have a meaning in a URL are encoded, also in a password. Other options than those above are
    /// refused by [`Broker::new`](crate::broker::Broker::new), except `?db=…&user=…&pass=…` of a
    /// socket.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            namespace: DEFAULT_NAMESPACE.into(),
            connect_timeout: Duration::from_secs(2),
            response_timeout: Duration::from_secs(3),
            certificates: Certificates::default(),
        }
    }

    /// Reads the URL from `POOLDER_REDIS_URL`, else from `REDIS_URL`, else takes
    /// `redis://127.0.0.1:6379/`. Reads the namespace from `POOLDER_NAMESPACE`, else takes
    /// `poolder`.
    #[must_use]
    pub fn from_env() -> Self {
        let set = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        let url = set("POOLDER_REDIS_URL").or_else(|| set("REDIS_URL"));
        let config = Self::new(url.unwrap_or_else(|| "redis://127.0.0.1:6379/".into()));
        match set("POOLDER_NAMESPACE") {
            Some(namespace) => config.namespace(namespace),
            None => config,
        }
    }

    /// Sets the namespace, the first part of every key. Default `poolder`.
    #[must_use]
    pub fn namespace(mut self, namespace: impl Into<String>) -> Self {
        self.namespace = namespace.into();
        self
    }

    /// Sets the time limit for connecting to a server whose link is fast. Default 2 s. Over a slow
    /// link, and over one of which nothing is known, it is the [time limit of a
    /// reply](Config::response_timeout), if that is longer: at the first connection, after a
    /// timeout, and where four round trips take longer. A caller that waits for a connection waits
    /// for at most the time limit of a reply.
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.connect_timeout = timeout;
        self
    }

    /// Sets the time limit for a reply, and for an operation with all its steps: finding the server,
    /// opening a connection, sending, and sending again after a refusal. After it the operation
    /// fails: refused if nothing was sent, else with an unknown outcome. Default 3 s. Confirming
    /// the durability of a job has a time limit of its own in addition.
    ///
    /// Over a slow link an operation that must find the server or open a connection takes longer:
    /// each of these steps that is answered begins the time anew, up to six times the limit for the
    /// operation. To connect is one of the steps; it takes two round trips, with TLS three or four,
    /// which the limit must leave room for.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.response_timeout = timeout;
        self
    }

    /// Trusts only this certificate, in PEM form, instead of the certificates of the system. For
    /// `rediss://` URLs.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn trust(mut self, certificate: impl Into<Vec<u8>>) -> Self {
        self.certificates.trusted = Some(certificate.into());
        self
    }

    /// Sets the client certificate that is presented to the server, and its private key, both in
    /// PEM form.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn identify(mut self, cert: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        self.certificates.own = Some((cert.into(), key.into()));
        self
    }

    pub(crate) fn keyspace(&self) -> Result<Keyspace, Error> {
        Keyspace::new(&self.namespace)
    }

    pub(crate) fn longest_reply(&self) -> Duration {
        self.response_timeout
    }

    pub(crate) fn longest_connect(&self) -> Duration {
        self.connect_timeout
    }

    /// Parses the URL, and adds the TCP settings, the client name and the certificates.
    pub(crate) fn endpoint(&self) -> Result<Endpoint, Error> {
        let mut found = Endpoint::parse(&self.url)?;
        let probe = TcpKeepalive::new()
            .with_time(Duration::from_secs(10))
            .with_interval(Duration::from_secs(3));
        // Small packets are sent at once, and dead connections are detected.
        let tcp = TcpSettings::default().set_nodelay(true).set_keepalive(probe);
        #[cfg(any(target_os = "android", target_os = "fuchsia", target_os = "linux"))]
        let tcp = tcp.set_user_timeout(Duration::from_secs(10));
        let settings = found.template.redis_settings().clone();
        let settings = settings.set_lib_name("poolder", env!("CARGO_PKG_VERSION"));
        let template = found.template.set_tcp_settings(tcp).set_redis_settings(settings);
        found.template = self.certificates.add_to(template)?;
        Ok(found)
    }

    /// Returns the address of the server, without credentials.
    #[must_use]
    pub fn address(&self) -> String {
        match self.endpoint() {
            Ok(found) => found.to_string(),
            Err(_) => "an unreadable URL".into(),
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("address", &self.address())
            .field("namespace", &self.namespace)
            .field("connect_timeout", &self.connect_timeout)
            .field("response_timeout", &self.response_timeout)
            .finish()
    }
}
