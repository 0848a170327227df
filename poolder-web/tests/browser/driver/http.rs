//! The requests of WebDriver: one connection each, JSON both ways.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

/// The longest time that a request may take. The slowest one examines a whole page.
const LIMIT: Duration = Duration::from_secs(60);

/// Sends a request to a port of this machine, and returns the value of the answer.
pub(super) fn call(port: u16, method: &str, path: &str, body: &Value) -> Result<Value, String> {
    // The server of the pages runs in the same process and must go on meanwhile.
    let answer = tokio::task::block_in_place(|| exchange(port, method, path, body));
    let answer = answer.map_err(|error| format!("{method} {path}: {error}"))?;
    let answer: Value =
        serde_json::from_slice(&answer).map_err(|error| format!("{path}: {error}"))?;
    let value = answer["value"].clone();
    match value["error"].as_str() {
        Some(error) => {
            let message = value["message"].as_str().unwrap_or_default();
            Err(format!("{error}: {}", message.lines().next().unwrap_or_default()))
        }
        None => Ok(value),
    }
}

fn exchange(port: u16, method: &str, path: &str, body: &Value) -> std::io::Result<Vec<u8>> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    let body = if method == "POST" { body.to_string() } else { String::new() };
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: 127.0.0.1:{port}\r\nconnection: close\r\ncontent-type: \
         application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes())?;
    // The connection stays open, whatever the request says.
    let (mut answer, mut length) = (BufReader::new(stream), 0);
    loop {
        let mut line = String::new();
        answer.read_line(&mut line)?;
        let (name, value) = line.trim_end().split_once(':').unwrap_or((line.trim_end(), ""));
        match name {
            "" => break,
            name if name.eq_ignore_ascii_case("content-length") => {
                length = value.trim().parse().unwrap_or(0);
            }
            _ => {}
        }
    }
    let mut body = vec![0; length];
    answer.read_exact(&mut body)?;
    Ok(body)
}

/// Returns an empty body.
pub(super) fn nothing() -> Value {
    json!({})
}
