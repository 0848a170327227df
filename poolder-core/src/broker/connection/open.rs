//! [`Opener`]: opens connections to one server, with a time limit that follows the link. A server
//! that refuses a client says why before it closes the connection; the error then has the server's
//! words.

use std::io::{Error as IoError, ErrorKind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::Instant;

use crate::broker::connection::config::Config;

/// Begins the text of an error that has the server's words.
pub(crate) const REFUSED: &str = "the server refused the connection: ";

/// How long to wait for the words of a server that has just closed a connection.
const PATIENCE: Duration = Duration::from_millis(250);
/// Limits the length of the words, in bytes.
const MAX_WORDS: usize = 200;
/// The round trips in which the client library connects: the handshake, two of TLS, and the
/// introduction.
const CONNECT_TRIPS: u32 = 4;

/// Opens connections to one server, and measures the round trip.
pub(crate) struct Opener {
    client: Client,
    config: Config,
    /// The last measured round trip in microseconds, 0 when it is not known.
    round_trip: AtomicU64,
}

impl Opener {
    pub(crate) fn new(client: Client, config: &Config) -> Self {
        Self { client, config: config.clone(), round_trip: AtomicU64::new(0) }
    }

    /// Returns the client of the server.
    pub(crate) fn client(&self) -> &Client {
        &self.client
    }

    /// Opens a connection whose replies may take up to `reply`, and checks that the server knows who
    /// opens it. Calls `answered` after each answered step.
    ///
    /// A server that asks for a password closes a connection that sends long commands without one,
    /// so that the error of such a command is lost. Scripts are long commands.
    pub(crate) async fn open(
        &self,
        reply: Duration,
        answered: impl Fn(),
    ) -> RedisResult<MultiplexedConnection> {
        let settings = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.connect_limit()))
            .set_response_timeout(Some(reply));
        let opened = async {
            let connected = self.client.get_multiplexed_async_connection_with_config(&settings);
            let mut connection = connected.await.inspect_err(|error| self.failed(error))?;
            answered();
            let sent = Instant::now();
            match redis::cmd("PING").exec_async(&mut connection).await {
                Err(error) if error.is_io_error() || error.code() == Some("NOAUTH") => Err(error),
                // Access rules may deny the command, and a server that loads its data answers with
                // an error as well.
                _ => {
                    self.measured(sent.elapsed());
                    answered();
                    Ok(connection)
                }
            }
        };
        match opened.await {
            Ok(connection) => Ok(connection),
            Err(error) => Err(explained(&self.client, error).await),
        }
    }

    /// Returns the time limit for connecting.
    pub(crate) fn connect_limit(&self) -> Duration {
        let config = &self.config;
        connect_limit(config.longest_connect(), config.longest_reply(), self.round_trip())
    }

    /// Returns the last measured round trip. It is not known before the first one, and after a
    /// timeout, since the link may be slower than it was.
    pub(crate) fn round_trip(&self) -> Option<Duration> {
        match self.round_trip.load(Ordering::Relaxed) {
            0 => None,
            micros => Some(Duration::from_micros(micros)),
        }
    }

    /// Notes that connecting has failed.
    pub(crate) fn failed(&self, error: &RedisError) {
        if error.is_timeout() {
            self.round_trip.store(0, Ordering::Relaxed);
        }
    }

    fn measured(&self, round_trip: Duration) {
        let micros = u64::try_from(round_trip.as_micros()).unwrap_or(u64::MAX).max(1);
        self.round_trip.store(micros, Ordering::Relaxed);
    }
}

/// Returns the time limit for connecting: `connect`, or for a link that is slow, or of which nothing
/// is known, the time limit of a reply if that is longer.
fn connect_limit(connect: Duration, reply: Duration, round_trip: Option<Duration>) -> Duration {
    let needed = round_trip.map_or(Duration::MAX, |trip| trip.saturating_mul(CONNECT_TRIPS));
    connect.max(needed.min(reply))
}

/// Returns the error with the server's words, if the server says why it refuses connections.
///
/// The client library sends its first commands at once. When the server has closed the connection
/// by then, the write fails, and the words that the server sent before are lost. They are read from
/// a connection on which nothing is sent.
pub(crate) async fn explained(client: &Client, error: RedisError) -> RedisError {
    if !error.is_io_error() || error.is_connection_refusal() || error.is_timeout() {
        return error;
    }
    let words = tokio::time::timeout(PATIENCE, async {
        match client.get_connection_info().addr() {
            ConnectionAddr::Tcp(host, port) => {
                let stream = tokio::net::TcpStream::connect((host.as_str(), *port)).await.ok()?;
                first_line(stream).await
            }
            #[cfg(unix)]
            ConnectionAddr::Unix(path) => {
                first_line(tokio::net::UnixStream::connect(path).await.ok()?).await
            }
            // Behind TLS the words are encrypted, if they are sent at all.
            _ => None,
        }
    });
    match words.await {
        Ok(Some(words)) => {
            IoError::new(ErrorKind::ConnectionRefused, format!("{REFUSED}{words}")).into()
        }
        _ => error,
    }
}

/// Reads an error line that the server sends without being asked.
async fn first_line(mut stream: impl AsyncRead + Unpin) -> Option<String> {
    let mut bytes = vec![];
    while bytes.len() < MAX_WORDS && !bytes.contains(&b'\n') {
        if stream.read_buf(&mut bytes).await.ok()? == 0 {
            break;
        }
    }
    let line = bytes.strip_prefix(b"-")?.split(|byte| matches!(byte, b'\r' | b'\n')).next()?;
    let words: String = String::from_utf8_lossy(line).chars().take(MAX_WORDS).collect();
    (!words.is_empty()).then_some(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_to_connect_follows_the_round_trip_up_to_that_of_a_reply() {
        let ms = Duration::from_millis;
        let limit = |trip| connect_limit(ms(2_000), ms(3_000), trip);
        assert_eq!(limit(None), ms(3_000), "of the link nothing is known");
        for (trip, expected) in [(0, 2_000), (500, 2_000), (600, 2_400), (1_300, 3_000)] {
            assert_eq!(limit(Some(ms(trip))), ms(expected), "{trip}");
        }
        assert_eq!(limit(Some(Duration::MAX)), ms(3_000));
        let connect = Duration::from_secs(60);
        assert_eq!(connect_limit(connect, ms(500), None), connect, "as the caller has set it");
    }

    #[tokio::test]
    async fn only_an_error_line_of_the_server_is_repeated() {
        let cases: [(&[u8], Option<&str>); 5] = [
            (b"-ERR max number of clients reached\r\n", Some("ERR max number of clients reached")),
            (
                b"-DENIED Redis is running in protected mode\n",
                Some("DENIED Redis is running in protected mode"),
            ),
            (b"HTTP/1.1 400 Bad Request\r\n", None),
            (b"", None),
            (b"-\r\n", None),
        ];
        for (sent, words) in cases {
            assert_eq!(first_line(sent).await.as_deref(), words);
        }
        let long = [b"-".as_slice(), &[b'x'; 1000]].concat();
        assert_eq!(first_line(long.as_slice()).await.map(|words| words.len()), Some(MAX_WORDS));
    }
}
