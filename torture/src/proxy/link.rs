//! Carries one client's connection to the server and back.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;

use super::Conditions;
use super::resp::{self, Parsed};
use super::rules::{Lost, Rules, Strike, loaded_script};

const CHUNK: usize = 16 * 1024;
/// Longer than any client waits for a reply.
const LATE: std::time::Duration = std::time::Duration::from_secs(12);

/// The commands without a reply so far, in order.
type Waiting = Arc<Mutex<VecDeque<Awaited>>>;

#[derive(Debug)]
struct Awaited {
    /// The name of the script that the command loads.
    loads: Option<String>,
    /// The loss that will hit the reply.
    strike: Option<Strike>,
}

/// The end of one direction.
enum End {
    /// One side has closed.
    Closed,
    /// A loss that cuts the connection.
    Cut,
    /// A loss after which no more data comes, while the connection stays open.
    Silent,
}

/// Carries a connection until it ends.
pub(super) async fn carry(
    client: TcpStream,
    server: TcpStream,
    name: &str,
    rules: Arc<Rules>,
    mut conditions: watch::Receiver<Conditions>,
) {
    let _ = client.set_nodelay(true).and_then(|()| server.set_nodelay(true));
    let born = *conditions.borrow_and_update();
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    let waiting = Waiting::default();
    let there =
        there(from_client, to_server, name, Arc::clone(&rules), Arc::clone(&waiting), &conditions);
    let back = back(from_server, to_client, name, rules, waiting, &conditions, born.halves);
    let mut cuts = conditions.clone();
    let cut = async move {
        // An error means that the proxy was dropped, which also ends the connection.
        let _ = cuts.wait_for(|now| now.cuts > born.cuts).await;
    };
    tokio::pin!(there, back);
    tokio::select! {
        () = cut => {}
        end = &mut there => match end {
            Ok(End::Silent) => { let _ = back.await; }
            // The client may still read replies that are under way.
            Ok(End::Closed) => { let _ = back.await; }
            Ok(End::Cut) | Err(_) => {}
        },
        end = &mut back => if let Ok(End::Silent) = end { let _ = there.await; },
    }
}

/// Carries data from the client to the server.
async fn there(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    name: &str,
    rules: Arc<Rules>,
    waiting: Waiting,
    conditions: &watch::Receiver<Conditions>,
) -> io::Result<End> {
    let mut conditions = conditions.clone();
    let (mut chunk, mut buffer) = (vec![0; CHUNK], Vec::new());
    let mut foreign = false;
    loop {
        let len = from.read(&mut chunk).await?;
        if len == 0 {
            let _ = to.shutdown().await;
            return Ok(End::Closed);
        }
        if foreign {
            send(&mut to, &chunk[..len], &mut conditions).await?;
            continue;
        }
        buffer.extend_from_slice(&chunk[..len]);
        let mut passed = 0;
        let mut end = None;
        while passed < buffer.len() {
            let command = match resp::command(&buffer[passed..]) {
                Parsed::Whole(command) => command,
                Parsed::Part => break,
                Parsed::Foreign => {
                    foreign = true;
                    passed = buffer.len();
                    break;
                }
            };
            let mut awaited = Awaited { loads: loaded_script(&command), strike: None };
            if let Some(strike) = rules.next_strike(&command) {
                if strike.what == Lost::Request {
                    end = Some(if strike.cut { End::Cut } else { End::Silent });
                    let _ = strike.happened.send(name.to_owned());
                    break;
                }
                if strike.what == Lost::Time {
                    // The command arrives alone, long after the client has given up.
                    let late = buffer[passed..passed + command.len].to_vec();
                    let _ = strike.happened.send(name.to_owned());
                    send(&mut to, &buffer[..passed], &mut conditions).await?;
                    tokio::time::sleep(LATE).await;
                    to.write_all(&late).await?;
                    return Ok(End::Cut);
                }
                awaited.strike = Some(strike);
            }
            waiting.lock().unwrap_or_else(PoisonError::into_inner).push_back(awaited);
            passed += command.len;
        }
        send(&mut to, &buffer[..passed], &mut conditions).await?;
        buffer.drain(..passed);
        match end {
            None => {}
            Some(End::Silent) => {
                // Later data of the client is dropped, too.
                while from.read(&mut chunk).await? > 0 {}
                return Ok(End::Closed);
            }
            Some(end) => return Ok(end),
        }
    }
}

/// Carries data from the server to the client.
async fn back(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    name: &str,
    rules: Arc<Rules>,
    waiting: Waiting,
    conditions: &watch::Receiver<Conditions>,
    born: u64,
) -> io::Result<End> {
    let mut conditions = conditions.clone();
    let (mut chunk, mut buffer) = (vec![0; CHUNK], Vec::new());
    let mut foreign = false;
    loop {
        let len = tokio::select! {
            len = from.read(&mut chunk) => len?,
            _ = half(conditions.clone(), born) => {
                to.shutdown().await?;
                while from.read(&mut chunk).await? > 0 {}
                return Ok(End::Closed);
            }
        };
        if len == 0 {
            let _ = to.shutdown().await;
            return Ok(End::Closed);
        }
        conditions.wait_for(|now| !now.silent).await.map_err(gone)?;
        if foreign {
            send(&mut to, &chunk[..len], &mut conditions).await?;
            continue;
        }
        buffer.extend_from_slice(&chunk[..len]);
        let (mut passed, mut end) = (0, None);
        while passed < buffer.len() {
            let (len, pushed) = match resp::reply(&buffer[passed..]) {
                Parsed::Whole(found) => found,
                Parsed::Part => break,
                Parsed::Foreign => {
                    foreign = true;
                    passed = buffer.len();
                    break;
                }
            };
            let answered = if pushed {
                None
            } else {
                waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
            };
            let Some(awaited) = answered else {
                // Messages of a subscription are not replies to a command.
                passed += len;
                continue;
            };
            if let Some(strike) = awaited.strike {
                end = Some(if strike.cut { End::Cut } else { End::Silent });
                let _ = strike.happened.send(name.to_owned());
                break;
            }
            if let Some(script) = awaited.loads {
                let reply = &buffer[passed..passed + len];
                let hash = reply.split(|byte| *byte == b'\n').nth(1).unwrap_or_default();
                rules.learn(hash.trim_ascii(), &script);
            }
            passed += len;
        }
        send(&mut to, &buffer[..passed], &mut conditions).await?;
        buffer.drain(..passed);
        match end {
            None => {}
            Some(End::Silent) => {
                while from.read(&mut chunk).await? > 0 {}
                return Ok(End::Silent);
            }
            Some(end) => return Ok(end),
        }
    }
}

/// Returns when the connections are to be closed towards the client.
async fn half(mut conditions: watch::Receiver<Conditions>, born: u64) {
    if conditions.wait_for(|now| now.halves > born).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The error of a connection whose proxy was dropped.
fn gone(_: watch::error::RecvError) -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

/// Passes bytes on under the current conditions.
async fn send(
    to: &mut OwnedWriteHalf,
    bytes: &[u8],
    conditions: &mut watch::Receiver<Conditions>,
) -> io::Result<()> {
    let now = *conditions.wait_for(|now| !now.frozen).await.map_err(gone)?;
    if !now.delay.is_zero() {
        tokio::time::sleep(now.delay).await;
    }
    if now.narrow {
        let micros = u64::try_from(bytes.len()).unwrap_or(0);
        tokio::time::sleep(std::time::Duration::from_micros(micros)).await;
    }
    if !now.dribble {
        return to.write_all(bytes).await;
    }
    for byte in bytes {
        to.write_all(std::slice::from_ref(byte)).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}
