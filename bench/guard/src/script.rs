//! A server that knows a few commands and always gives the same replies.

use std::io;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use crate::job::envelope;

/// Serves until the process is killed.
pub async fn serve(path: &str) -> Result<(), crate::AnyError> {
    let listener = UnixListener::bind(path)?;
    println!("ready");
    let entry = envelope(7)?.as_bytes().to_vec();
    loop {
        let (stream, _) = listener.accept().await?;
        tokio::spawn(talk(stream, entry.clone()));
    }
}

async fn talk(stream: UnixStream, envelope: Vec<u8>) -> io::Result<()> {
    let (input, mut output) = stream.into_split();
    let (mut input, mut out) = (BufReader::new(input), vec![]);
    let mut claimed = 0_u64;
    loop {
        let words = command(&mut input).await?;
        answer(&words, &envelope, &mut claimed, &mut out);
        // The replies of a pipeline go out together, so that they arrive in the same pieces each
        // time.
        if input.buffer().is_empty() {
            output.write_all(&out).await?;
            out.clear();
        }
    }
}

/// Reads one command.
async fn command(input: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<Vec<u8>>> {
    let count = length(input, '*').await?;
    let mut words = Vec::with_capacity(count);
    for _ in 0..count {
        let mut word = vec![0; length(input, '$').await? + 2];
        input.read_exact(&mut word).await?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Ok(words)
}

async fn length(input: &mut (impl AsyncBufReadExt + Unpin), mark: char) -> io::Result<usize> {
    let mut line = String::new();
    if input.read_line(&mut line).await? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let number = line.trim().strip_prefix(mark).and_then(|text| text.parse().ok());
    number.ok_or_else(|| io::Error::other(format!("expected {mark} and a number, got {line:?}")))
}

fn answer(words: &[Vec<u8>], envelope: &[u8], claimed: &mut u64, out: &mut Vec<u8>) {
    let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).to_uppercase());
    let (name, second) = (text(0).unwrap_or_default(), text(1).unwrap_or_default());
    match (name.as_str(), second.as_str()) {
        ("XADD", _) => bulk(out, b"1764000000000-0"),
        ("INFO", "REPLICATION") => {
            bulk(out, b"role:master\r\nmaster_replid:0123456789012345678901234567890123456789\r\n")
        }
        ("INFO", _) => bulk(
            out,
            b"redis_version:7.2.0\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n\
              role:master\r\ncluster_enabled:0\r\n",
        ),
        ("CLIENT", "ID") => out.extend(b":7\r\n"),
        ("CONFIG", _) | ("XPENDING", _) | ("ZRANGE", _) => out.extend(b"*0\r\n"),
        // No cancellations are stored.
        ("HMGET", _) => {
            out.extend(format!("*{}\r\n", words.len() - 2).as_bytes());
            (2..words.len()).for_each(|_| out.extend(b"$-1\r\n"));
        }
        // All commands in question exist.
        ("COMMAND", "INFO") => {
            out.extend(format!("*{}\r\n", words.len() - 2).as_bytes());
            (2..words.len()).for_each(|_| out.extend(b"*1\r\n$1\r\nx\r\n"));
        }
        ("SCRIPT", _) => bulk(out, b"0123456789012345678901234567890123456789"),
        ("XREADGROUP", _) => {
            let at = words.iter().position(|word| word == b"COUNT").unwrap_or_default();
            let count: u64 = text(at + 1).and_then(|text| text.parse().ok()).unwrap_or(1);
            let normal = |word: &&Vec<u8>| word.ends_with(b":normal");
            let lane = words.iter().find(normal).cloned().unwrap_or_default();
            out.extend(b"*1\r\n*2\r\n");
            bulk(out, &lane);
            out.extend(format!("*{count}\r\n").as_bytes());
            for _ in 0..count {
                *claimed += 1;
                out.extend(b"*2\r\n");
                bulk(out, format!("1764000000000-{:06}", *claimed % 1_000_000).as_bytes());
                out.extend(b"*2\r\n");
                bulk(out, b"j");
                bulk(out, envelope);
            }
        }
        // claim.lua: one key, and four arguments, of which the second is the number of jobs.
        ("EVALSHA", _) if words.len() == 8 && words[2] == b"1" => {
            let count: u64 = text(5).and_then(|text| text.parse().ok()).unwrap_or(1);
            out.extend(format!("*{}\r\n", 4 * count).as_bytes());
            for _ in 0..count {
                *claimed += 1;
                bulk(out, format!("1764000000000-{:06}", *claimed % 1_000_000).as_bytes());
                out.extend(b":2\r\n");
                bulk(out, b"j");
                bulk(out, envelope);
            }
        }
        ("EVALSHA", _) => script(words, out),
        ("SUBSCRIBE", _) => {
            for (number, channel) in (1..).zip(&words[1..]) {
                out.extend(b"*3\r\n");
                bulk(out, b"subscribe");
                bulk(out, channel);
                out.extend(format!(":{number}\r\n").as_bytes());
            }
        }
        ("PING", _) => out.extend(b"+PONG\r\n"),
        _ => out.extend(b"+OK\r\n"),
    }
}

/// Tells scripts apart by their numbers of keys and arguments, which their headers list.
fn script(words: &[Vec<u8>], out: &mut Vec<u8>) {
    let keys: usize =
        words.get(2).and_then(|word| std::str::from_utf8(word).ok()?.parse().ok()).unwrap_or(0);
    let named = |at: usize, name: &[u8]| words.get(at).is_some_and(|key| key.ends_with(name));
    match keys {
        // complete.lua: all jobs are completed, and a thousand wait in the fourth lane.
        7 => out.extend(b"*6\r\n$2\r\nOK\r\n:0\r\n:0\r\n:0\r\n:1000\r\n:0\r\n"),
        // node_beat.lua
        3 if named(3, b"{roster}:nodes") => {
            out.extend(b"*6\r\n$2\r\nOK\r\n$13\r\n1764000000000\r\n*0\r\n*0\r\n:1\r\n$0\r\n\r\n");
        }
        // complete.lua without depths, when the client does not ask for them.
        2 if words.len() > 8 => out.extend(b"*1\r\n$2\r\nOK\r\n"),
        // leader_elect.lua: another node leads, so that this one has no duties of a leader.
        2 if named(3, b":leader") => out.extend(b"*3\r\n:0\r\n:1\r\n$5\r\nother\r\n"),
        // pool_join.lua: no addressed pool has this name.
        2 if named(4, b":members") => {
            out.extend(b"*2\r\n*9\r\n");
            (0..9).for_each(|_| bulk(out, b""));
            out.extend(b"*0\r\n");
        }
        _ => out.extend(b":1\r\n"),
    }
}

fn bulk(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(format!("${}\r\n", bytes.len()).as_bytes());
    out.extend(bytes);
    out.extend(b"\r\n");
}
