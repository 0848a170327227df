//! Asks Sentinels and nodes of a cluster for the servers. Blocks, so that a thread without a
//! runtime can ask as well.
//!
//! A host that does not answer delays the lookup by [`HEAD_START`]: then the next host is asked as
//! well, and the first useful answer counts. Each answered step of a host, of which there are up to
//! six, begins the time limit of the lookup anew.

use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use redis::{Cmd, ConnectionInfo, ErrorKind, FromRedisValue, RedisError, RedisResult, Value};

use crate::broker::connection::endpoint::{Endpoint, Host, SignIn, Topology};
use crate::broker::connection::reply;
use crate::job::Error;

/// The time limit for each step of a lookup at a Sentinel or a node of the cluster.
const STEP_TIMEOUT: Duration = Duration::from_secs(2);
/// The time limit of a lookup, from its start and from each answered step.
const TIMEOUT: Duration = Duration::from_secs(5);
/// The time after which the next host is asked beside those that have not answered.
const HEAD_START: Duration = Duration::from_millis(200);

/// The number of slots of a cluster.
const SLOTS: usize = 16_384;

/// The servers of the data.
#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Behind Sentinels the primary, for a cluster its primaries. Empty when unknown.
    pub(super) hosts: Vec<Host>,
    /// For a cluster the owner of each slot, as an index into `hosts`.
    pub(super) slots: Vec<u16>,
}

impl Table {
    /// Returns the server of a slot, or that of all keys behind Sentinels.
    pub(super) fn host(&self, slot: Option<u16>) -> Option<&Host> {
        if self.slots.is_empty() {
            return self.hosts.first();
        }
        let at = self.slots.get(usize::from(slot.unwrap_or(0)))?;
        self.hosts.get(usize::from(*at))
    }

    /// Notes that a slot has moved to `host`.
    pub(super) fn move_slot(&mut self, slot: u16, host: Host) {
        let Some(place) = self.slots.get_mut(usize::from(slot)) else { return };
        let at = self.hosts.iter().position(|known| *known == host).unwrap_or_else(|| {
            self.hosts.push(host);
            self.hosts.len() - 1
        });
        *place = u16::try_from(at).unwrap_or(u16::MAX);
    }
}

/// The news of a host.
enum News {
    /// It has answered a step.
    Answered,
    /// It has nothing more to say.
    Ended(RedisResult<Table>),
}

/// Asks the hosts in this order, and calls `answered` after each answered step. Blocks for up to
/// [`TIMEOUT`] without an answer.
pub(super) fn find(
    endpoint: &Arc<Endpoint>,
    hosts: Vec<Host>,
    answered: impl Fn(),
) -> RedisResult<Table> {
    let mut deadline = Instant::now() + TIMEOUT;
    let (sender, news) = channel();
    let (mut hosts, mut waiting) = (hosts.into_iter(), 0);
    let mut last = RedisError::from((ErrorKind::Client, "there is no server to ask"));
    loop {
        let next = hosts.next();
        let mut pause = if next.is_some() { HEAD_START } else { TIMEOUT };
        match next {
            Some(host) => {
                Question { endpoint: Arc::clone(endpoint), host, news: sender.clone() }.ask()?;
                waiting += 1;
            }
            None if waiting == 0 => return Err(last),
            None => {}
        }
        loop {
            pause = pause.min(deadline.saturating_duration_since(Instant::now()));
            match news.recv_timeout(pause) {
                Ok(News::Answered) => {
                    answered();
                    deadline = Instant::now() + TIMEOUT;
                }
                Ok(News::Ended(Ok(table))) => return Ok(table),
                Ok(News::Ended(Err(error))) => {
                    (last, waiting) = (error, waiting - 1);
                    break;
                }
                Err(RecvTimeoutError::Timeout) if Instant::now() < deadline => break,
                Err(_) => return Err(last),
            }
        }
    }
}

/// The question for the table, to one host.
struct Question {
    endpoint: Arc<Endpoint>,
    host: Host,
    news: Sender<News>,
}

impl Question {
    /// Asks on another thread.
    fn ask(self) -> RedisResult<()> {
        let ask = move || {
            let table = match &self.endpoint.topology {
                Topology::Sentinel { service, sign_in, .. } => self.ask_sentinel(service, sign_in),
                Topology::One | Topology::Cluster { .. } => self.ask_node(),
            };
            // The lookup may have ended with the answer of another host.
            let _ = self.news.send(News::Ended(table));
        };
        std::thread::Builder::new().name("poolder-lookup".into()).spawn(ask)?;
        Ok(())
    }

    fn ask_sentinel(&self, service: &str, sign_in: &SignIn) -> RedisResult<Table> {
        let mut cmd = redis::cmd("SENTINEL");
        cmd.arg("get-master-addr-by-name").arg(service);
        let ask_as = |settings| {
            let info = self.endpoint.to(&self.host).set_redis_settings(settings);
            self.query(&cmd, &mut self.open(info)?)
        };
        let answer = match ask_as(redis::RedisConnectionInfo::default()) {
            // A Sentinel without a password refuses one, so that it is sent on request only.
            Err(error) if error.code() == Some("NOAUTH") => match sign_in.settings() {
                Some(settings) => ask_as(settings),
                None => Err(error),
            },
            answer => answer,
        };
        let address: Option<(String, u16)> = answer?;
        let unknown = || (ErrorKind::Client, "the Sentinel does not know this service");
        let (host, port) = address.ok_or_else(unknown)?;
        let host = Host(host, port);
        // After a failover a Sentinel may still name the old primary.
        let mut primary = self.open(self.endpoint.to(&host))?;
        let role: Vec<Value> = self.query(&redis::cmd("ROLE"), &mut primary)?;
        let role = role.into_iter().next().and_then(|role| reply::text(role).ok());
        if role.as_deref() != Some("master") {
            let text = "the Sentinel named a server that is no primary";
            return Err((ErrorKind::Client, text).into());
        }
        Ok(Table { hosts: vec![host], slots: vec![] })
    }

    fn ask_node(&self) -> RedisResult<Table> {
        let mut node = self.open(self.endpoint.to(&self.host))?;
        let ranges: Value = self.query(redis::cmd("CLUSTER").arg("SLOTS"), &mut node)?;
        let unreadable = |_| {
            RedisError::from((ErrorKind::Client, "the reply to CLUSTER SLOTS could not be read"))
        };
        let mut hosts: Vec<Host> = vec![];
        let mut slots = vec![u16::MAX; SLOTS];
        for range in reply::array(ranges).map_err(unreadable)? {
            let (from, to, host) = slot_range(range, &self.host).map_err(unreadable)?;
            let at = hosts.iter().position(|known| *known == host).unwrap_or_else(|| {
                hosts.push(host);
                hosts.len() - 1
            });
            let at = u16::try_from(at).unwrap_or(u16::MAX);
            slots.iter_mut().take(to + 1).skip(from).for_each(|slot| *slot = at);
        }
        Ok(Table { hosts, slots })
    }

    fn open(&self, info: ConnectionInfo) -> RedisResult<redis::Connection> {
        let connection = redis::Client::open(info)?.get_connection_with_timeout(STEP_TIMEOUT)?;
        connection.set_read_timeout(Some(STEP_TIMEOUT))?;
        connection.set_write_timeout(Some(STEP_TIMEOUT))?;
        self.note_answer();
        Ok(connection)
    }

    fn query<T: FromRedisValue>(
        &self,
        cmd: &Cmd,
        connection: &mut redis::Connection,
    ) -> RedisResult<T> {
        let answer = cmd.query(connection);
        if answer.as_ref().err().is_none_or(|error| !error.is_io_error()) {
            self.note_answer();
        }
        answer
    }

    fn note_answer(&self) {
        // The lookup may have ended with the answer of another host.
        let _ = self.news.send(News::Answered);
    }
}

/// Reads a range of slots: its first and last slot, and the primary that has them.
fn slot_range(range: Value, asked: &Host) -> Result<(usize, usize, Host), Error> {
    let mut parts = reply::array(range)?.into_iter();
    let mut next = || parts.next().unwrap_or(Value::Nil);
    let number = |value| reply::int(value).map(|n| usize::try_from(n).unwrap_or(SLOTS));
    let (from, to) = (number(next())?, number(next())?);
    let mut primary = reply::array(next())?.into_iter();
    // A node that does not know its own host leaves the host out: it is the node that was asked.
    let host = primary.next().and_then(|host| reply::text(host).ok()).filter(|h| !h.is_empty());
    let port = reply::int(primary.next().unwrap_or(Value::Nil))?;
    let port = u16::try_from(port).map_err(|_| Error::protocol("a port is out of range"))?;
    Ok((from, to, Host(host.unwrap_or_else(|| asked.0.clone()), port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host(name.into(), 1)
    }

    #[test]
    fn a_slot_that_has_moved_leaves_the_others() {
        let mut table = Table { hosts: vec![host("a"), host("b")], slots: vec![0, 0, 1] };
        table.move_slot(0, host("b"));
        table.move_slot(1, host("c"));
        table.move_slot(9, host("d"));
        let found: Vec<_> = (0..4).map(|slot| table.host(Some(slot)).cloned()).collect();
        assert_eq!(found, [Some(host("b")), Some(host("c")), Some(host("b")), None]);
        assert_eq!(Table::default().host(Some(1)), None);
    }

    #[test]
    fn a_seed_that_accepts_and_does_not_answer_delays_the_lookup_a_little() {
        let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let answering = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = |listener: &std::net::TcpListener| {
            Host("127.0.0.1".into(), listener.local_addr().unwrap().port())
        };
        let seeds = vec![place(&silent), place(&silent), place(&answering)];
        std::thread::spawn(move || {
            use std::io::{Read, Write};
            for stream in answering.incoming() {
                let Ok(mut stream) = stream else { return };
                let mut bytes = [0; 4096];
                while let Ok(1..) = stream.read(&mut bytes) {
                    let slots = "*1\r\n*3\r\n:0\r\n:16383\r\n*2\r\n$1\r\nh\r\n:7\r\n";
                    let asked = String::from_utf8_lossy(&bytes).contains("SLOTS");
                    let answer = if asked { slots } else { "+OK\r\n+OK\r\n" };
                    bytes.fill(0);
                    if stream.write_all(answer.as_bytes()).is_err() {
                        break;
                    }
                }
            }
        });
        let endpoint = Arc::new(Endpoint::parse("redis+cluster://unused").unwrap());
        let table = find(&endpoint, seeds, || ()).unwrap();
        assert_eq!(table.host(Some(5)), Some(&Host("h".into(), 7)));
        assert!(find(&endpoint, vec![], || ()).is_err());
    }
}
