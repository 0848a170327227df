//! Commands over a connection that a trial holds.

use std::io::{Read, Write};
use std::net::TcpStream;

/// Sends one command; the reply as redis-cli would roughly show it.
pub fn send(s: &mut TcpStream, words: &[&str]) -> Option<String> {
    let mut out = format!("*{}\r\n", words.len()).into_bytes();
    for w in words {
        out.extend(format!("${}\r\n{w}\r\n", w.len()).bytes());
    }
    s.write_all(&out).ok()?;
    read_reply(s)
}
fn line(s: &mut TcpStream) -> Option<String> {
    let mut v = vec![];
    let mut b = [0u8; 1];
    loop {
        if s.read(&mut b).ok()? == 0 {
            return None;
        }
        if b[0] == b'\n' {
            v.pop();
            return Some(String::from_utf8_lossy(&v).into_owned());
        }
        v.push(b[0]);
    }
}
fn read_reply(s: &mut TcpStream) -> Option<String> {
    let l = line(s)?;
    let (t, rest) = l.split_at(1);
    match t {
        "+" | "-" | ":" => Some(rest.to_owned()),
        "$" => {
            let n: i64 = rest.parse().ok()?;
            if n < 0 {
                return Some("(nil)".into());
            }
            let mut b = vec![0; n as usize + 2];
            s.read_exact(&mut b).ok()?;
            b.truncate(n as usize);
            Some(String::from_utf8_lossy(&b).into_owned())
        }
        "*" => {
            let n: i64 = rest.parse().ok()?;
            let mut parts = vec![];
            for _ in 0..n.max(0) {
                parts.push(read_reply(s)?);
            }
            Some(parts.join("\n"))
        }
        _ => Some(l),
    }
}
