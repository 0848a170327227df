//! Commands that read many partitions: one pipeline per server, to all servers at the same time.

use std::sync::Arc;

use deadpool_redis::Connection;
use futures_util::future::join_all;
use redis::{Cmd, RedisResult, Value};

use crate::broker::connection::broker::Broker;
use crate::broker::connection::failure::unsent;
use crate::broker::connection::peer::{Peer, is_lost};
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::round_trips::RedisOperation;
use crate::job::Error;

/// The most commands of a pipeline.
const MAX_COMMANDS: usize = 500;

/// The commands for one server, and their places among all.
struct Part {
    peer: Arc<Peer>,
    pipe: redis::Pipeline,
    places: Vec<usize>,
}

/// The connections of an operation that reads several times, one to each server. A connection of the
/// pool answers a `PING` before it is used, which is a round trip of its own.
#[derive(Default)]
pub(super) struct Taken(Vec<(Arc<Peer>, Connection)>);

impl Taken {
    /// Takes the connection to this server, if there is one.
    fn take(&mut self, peer: &Arc<Peer>) -> Option<Connection> {
        let at = self.0.iter().position(|(known, _)| Arc::ptr_eq(known, peer))?;
        Some(self.0.swap_remove(at).1)
    }
}

impl Broker {
    /// Runs commands that read: one pipeline per server for each 500 commands, on a connection for
    /// long reads, so that they do not delay hot commands. Returns one result per command: a server
    /// that does not answer fails its own commands.
    pub(in crate::broker) async fn ask_all(&self, calls: &[Cmd]) -> Vec<Result<Value, Error>> {
        if let Err(error) = self.needs_server() {
            return calls.iter().map(|_| Err(error.repeated())).collect();
        }
        let replies = match self.together() {
            Some(together) => together.send(calls.iter().cloned(), false).await,
            None => {
                let mut replies = Vec::with_capacity(calls.len());
                for some in calls.chunks(MAX_COMMANDS) {
                    replies.extend(Box::pin(self.ask_some(some, &mut Taken::default())).await);
                }
                replies
            }
        };
        replies.into_iter().map(|reply| reply.map_err(|error| self.classify(error))).collect()
    }

    /// Sends commands that read, in one pipeline per server. Connections that are taken stay for the
    /// next call.
    pub(super) async fn ask_some(&self, calls: &[Cmd], taken: &mut Taken) -> Replies {
        let mut replies: Vec<Option<RedisResult<Value>>> = calls.iter().map(|_| None).collect();
        let mut parts: Vec<Part> = vec![];
        for (at, cmd) in calls.iter().enumerate() {
            let slot = self.inner.slot_in(cmd);
            let peer = match self.inner.route.peer(slot, &mut self.inner.limit()).await {
                Ok(peer) => peer,
                Err(error) => {
                    replies[at] = Some(Err(unsent(error)));
                    continue;
                }
            };
            let part = parts.iter().position(|part| Arc::ptr_eq(&part.peer, &peer));
            let part = part.unwrap_or_else(|| {
                parts.push(Part { peer, pipe: redis::pipe(), places: vec![] });
                parts.len() - 1
            });
            parts[part].pipe.add_command(cmd.clone());
            parts[part].places.push(at);
        }
        let sent: Vec<_> = parts
            .into_iter()
            .map(|part| (taken.take(&part.peer), part))
            .map(|(connection, part)| async {
                let (sent, connection) = self.ask_peer(&part, connection).await;
                (sent, connection, part)
            })
            .collect();
        for (sent, connection, part) in join_all(sent).await {
            taken.0.extend(connection.map(|connection| (part.peer, connection)));
            match sent {
                Ok(answers) => {
                    for (at, answer) in part.places.into_iter().zip(answers) {
                        replies[at] = Some(answer);
                    }
                }
                Err(error) => {
                    part.places.into_iter().for_each(|at| replies[at] = Some(Err(error.clone())));
                }
            }
        }
        let mut results = Vec::with_capacity(calls.len());
        for (reply, cmd) in replies.into_iter().zip(calls) {
            results.push(match reply {
                // The shared connection follows the key.
                Some(Err(error)) if matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) => {
                    let trip = self.inner.round_trips.trip(RedisOperation::Other);
                    let reply = self.inner.send(cmd, &mut self.inner.limit()).await;
                    self.inner.round_trips.end(trip, &reply);
                    reply
                }
                Some(reply) => reply,
                None => Err((redis::ErrorKind::Client, "a reply is missing").into()),
            });
        }
        results
    }

    /// Sends the commands for a server, on the connection that is given or on one of the pool.
    /// Returns the connection as well, unless a reply was lost.
    async fn ask_peer(
        &self,
        part: &Part,
        connection: Option<Connection>,
    ) -> (RedisResult<Replies>, Option<Connection>) {
        let mut connection = match connection {
            Some(connection) => connection,
            None => match part.peer.alone(&mut self.inner.limit()).await {
                Ok(connection) => connection,
                Err(error) => return (Err(error), None),
            },
        };
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let sent = Request::new(&part.pipe).send(&mut connection).await;
        self.inner.round_trips.end(trip, &sent);
        if is_lost(&sent) {
            drop(Connection::take(connection));
            return (sent, None);
        }
        (sent, Some(connection))
    }
}
