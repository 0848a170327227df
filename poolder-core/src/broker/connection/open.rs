//! Opens connections. A server that refuses a client says why before it closes the connection; the
//! error then has the server's words.

use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisError, RedisResult};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Begins the text of an error that has the server's words.
pub(crate) const REFUSED: &str = "the server refused the connection: ";

/// How long to wait for the words of a server that has just closed a connection.
const PATIENCE: Duration = Duration::from_millis(250);
/// Limits the length of the words, in bytes.
const MAX_WORDS: usize = 200;

/// Opens a connection, and checks that the server knows who opens it.
///
/// A server that asks for a password closes a connection that sends long commands without one, so
/// that the error of such a command is lost. Scripts are long commands.
pub(crate) async fn open(
    client: &Client,
    settings: &AsyncConnectionConfig,
) -> RedisResult<MultiplexedConnection> {
    let opened = async {
        let mut connection = client.get_multiplexed_async_connection_with_config(settings).await?;
        match redis::cmd("PING").exec_async(&mut connection).await {
            Err(error) if error.is_io_error() || error.code() == Some("NOAUTH") => Err(error),
            // Access rules may deny the command, and a server that loads its data answers with an
            // error as well.
            _ => Ok(connection),
        }
    };
    match opened.await {
        Ok(connection) => Ok(connection),
        Err(error) => Err(explained(client, error).await),
    }
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
