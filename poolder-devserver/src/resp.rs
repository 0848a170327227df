//! A minimal client: sends one command and reads one reply, for tests that inspect their server.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use crate::error::Error;

/// The address on which a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    Unix(PathBuf),
    /// Host and port.
    Tcp(String),
}

impl Address {
    /// Parses URLs without password, TLS, database and options; other URLs need a client library.
    pub(crate) fn parse(url: &str) -> Result<Self, Error> {
        for scheme in ["redis+unix://", "valkey+unix://", "unix://"] {
            if let Some(path) = url.strip_prefix(scheme)
                && path.starts_with('/')
                && !path.contains(['?', '%'])
            {
                return Ok(Self::Unix(PathBuf::from(path)));
            }
        }
        for scheme in ["redis://", "valkey://"] {
            if let Some(rest) = url.strip_prefix(scheme) {
                let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
                if matches!(database, "" | "0") && !host.is_empty() && !host.contains(['@', '?']) {
                    let port = host.rsplit_once(':').map(|(_, port)| port.parse::<u16>());
                    let default = if matches!(port, Some(Ok(_))) { "" } else { ":6379" };
                    return Ok(Self::Tcp(format!("{host}{default}")));
                }
            }
        }
        // The URL may contain a password, so the error does not show it.
        Err(Error::failed(
            "this server's URL has a password, TLS, a database or options, which command() does \
             not support: use a client library for it",
        ))
    }

    pub(crate) fn url(&self) -> String {
        match self {
            Self::Unix(path) => format!("redis+unix://{}", path.display()),
            Self::Tcp(host) => format!("redis://{host}/"),
        }
    }

    fn connect(&self, limit: Duration) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Unix(path) => {
                let stream = UnixStream::connect(path)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                Ok(Box::new(stream))
            }
            Self::Tcp(host) => {
                let stream = TcpStream::connect(host)?;
                stream.set_read_timeout(Some(limit))?;
                stream.set_write_timeout(Some(limit))?;
                Ok(Box::new(stream))
            }
        }
    }
}

trait Stream: Read + Write {}
impl<S: Read + Write> Stream for S {}

/// The reason why a command returned no value.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The server answered with this error text.
    Reply(String),
    /// The server did not answer.
    Io(io::Error),
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reply(text) => f.write_str(text),
            Self::Io(error) if timed_out(error) => f.write_str("no answer in time"),
            Self::Io(error) => error.fmt(f),
        }
    }
}

fn timed_out(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut)
}

/// Sends one command over a fresh connection and renders its reply as text.
pub(crate) fn call(address: &Address, words: &[&str], limit: Duration) -> Result<String, Failure> {
    let mut stream = address.connect(limit)?;
    stream.write_all(&encode(words))?;
    read(&mut BufReader::new(stream))
}

/// Sends one command like [`call`]. The error names the command but not its arguments, which may
/// hold a password (`AUTH`).
pub(crate) fn command(address: &Address, words: &[&str], limit: Duration) -> Result<String, Error> {
    call(address, words, limit).map_err(|failure| {
        let text = format!("{}: {failure}", words.first().unwrap_or(&"an empty command"));
        match failure {
            Failure::Reply(_) => Error::reply(text),
            Failure::Io(_) => Error::failed(text),
        }
    })
}

fn encode(words: &[&str]) -> Vec<u8> {
    let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
    for word in words {
        bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
    }
    bytes
}

fn read(stream: &mut impl BufRead) -> Result<String, Failure> {
    let mut line = String::new();
    stream.read_line(&mut line)?;
    let Some(line) = line.strip_suffix("\r\n") else {
        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
    };
    let Some((kind, rest)) = line.split_at_checked(1) else {
        return Err(malformed(line));
    };
    match kind {
        "+" | ":" => Ok(rest.to_owned()),
        "-" => Err(Failure::Reply(rest.to_owned())),
        "$" | "*" if rest == "-1" => Ok("(nil)".to_owned()),
        "$" => {
            let length: usize = rest.parse().map_err(|_| malformed(line))?;
            let mut bytes = vec![0; length + 2];
            stream.read_exact(&mut bytes)?;
            bytes.truncate(length);
            Ok(String::from_utf8_lossy(&bytes).into_owned())
        }
        "*" => {
            let length: usize = rest.parse().map_err(|_| malformed(line))?;
            let items = (0..length).map(|_| read(stream)).collect::<Result<Vec<_>, _>>()?;
            Ok(items.join("\n"))
        }
        _ => Err(malformed(line)),
    }
}

fn malformed(line: &str) -> Failure {
    let text = format!("not a reply of a Redis server: {line}");
    io::Error::new(io::ErrorKind::InvalidData, text).into()
}

#[cfg(test)]
mod tests {
    use super::{Address, Failure, encode, read};
    use std::path::PathBuf;

    fn rendered(reply: &str) -> Result<String, String> {
        read(&mut reply.as_bytes()).map_err(|failure| match failure {
            Failure::Reply(text) => text,
            Failure::Io(error) => format!("{:?}", error.kind()),
        })
    }

    #[test]
    fn commands_are_written_with_lengths() {
        assert_eq!(
            encode(&["SET", "ä", ""]),
            "*3\r\n$3\r\nSET\r\n$2\r\nä\r\n$0\r\n\r\n".as_bytes()
        );
    }

    #[test]
    fn every_kind_of_reply_is_rendered() {
        assert_eq!(rendered("+OK\r\n"), Ok("OK".into()));
        assert_eq!(rendered(":42\r\n"), Ok("42".into()));
        assert_eq!(rendered("$4\r\na\r\nb\r\n"), Ok("a\r\nb".into()));
        assert_eq!(rendered("$-1\r\n"), Ok("(nil)".into()));
        assert_eq!(rendered("*2\r\n$1\r\na\r\n*2\r\n:1\r\n+x\r\n"), Ok("a\n1\nx".into()));
        assert_eq!(rendered("*0\r\n"), Ok(String::new()));
        assert_eq!(rendered("-ERR no\r\n"), Err("ERR no".into()));
        assert_eq!(rendered("$4\r\na"), Err("UnexpectedEof".into()));
        assert_eq!(rendered("HTTP/1.1 400\r\n"), Err("InvalidData".into()));
    }

    #[test]
    fn plain_urls_are_read() {
        let unix = Address::Unix(PathBuf::from("/tmp/x/s.sock"));
        assert_eq!(Address::parse(&unix.url()).expect("ours"), unix);
        assert_eq!(Address::parse("unix:///tmp/x/s.sock").expect("short"), unix);
        let tcp = |host: &str| Address::Tcp(host.to_owned());
        assert_eq!(Address::parse("redis://h").expect("default port"), tcp("h:6379"));
        assert_eq!(Address::parse("redis://[::1]/0").expect("IPv6"), tcp("[::1]:6379"));
        assert_eq!(Address::parse("redis://127.0.0.1:7/").expect("a port"), tcp("127.0.0.1:7"));
    }

    #[test]
    fn other_urls_are_refused_without_showing_them() {
        for url in ["redis://:secret@h", "rediss://h", "redis://h/3", "unix:///s?pass=secret"] {
            let text = Address::parse(url).expect_err(url).to_string();
            assert!(!text.contains("secret"), "{text}");
        }
    }
}
