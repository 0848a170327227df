//! Scripts that read many partitions: one pipeline per server, to all servers at the same time.

use std::sync::Arc;

use futures_util::future::join_all;
use redis::{Cmd, RedisResult, Value};

use crate::broker::connection::broker::Broker;
use crate::broker::connection::peer::{Peer, is_lost};
use crate::broker::connection::request::{Replies, Request};
use crate::broker::connection::round_trips::RedisOperation;
use crate::broker::connection::routing::slot_of;
use crate::job::Error;

/// The most commands of a pipeline.
const MAX_COMMANDS: usize = 500;

/// The commands for one server, and their places among all.
struct Part {
    peer: Arc<Peer>,
    pipe: redis::Pipeline,
    places: Vec<usize>,
}

impl Broker {
    /// Runs commands that read, each with a key that it needs: one pipeline per server for each 500
    /// commands, on a connection for long reads, so that they do not delay hot commands. Returns one
    /// result per command: a server that does not answer fails its own commands.
    pub(in crate::broker) async fn ask_all(
        &self,
        calls: &[(String, Cmd)],
    ) -> Vec<Result<Value, Error>> {
        if let Err(error) = self.needs_server() {
            return calls.iter().map(|_| Err(error.repeated())).collect();
        }
        let mut results = Vec::with_capacity(calls.len());
        for some in calls.chunks(MAX_COMMANDS) {
            results.extend(Box::pin(self.ask_some(some)).await);
        }
        results
    }

    async fn ask_some(&self, calls: &[(String, Cmd)]) -> Vec<Result<Value, Error>> {
        let mut replies: Vec<Option<RedisResult<Value>>> = calls.iter().map(|_| None).collect();
        let mut parts: Vec<Part> = vec![];
        for (at, (key, cmd)) in calls.iter().enumerate() {
            let slot = slot_of(key.as_bytes());
            let peer = match self.inner.route.peer(Some(slot), &mut self.inner.limit()).await {
                Ok(peer) => peer,
                Err(error) => {
                    replies[at] = Some(Err(error));
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
        let sent = parts.into_iter().map(|part| async {
            let replies = self.ask_peer(&part).await;
            (replies, part.places)
        });
        for (sent, places) in join_all(sent).await {
            match sent {
                Ok(answers) => {
                    for (at, answer) in places.into_iter().zip(answers) {
                        replies[at] = Some(answer);
                    }
                }
                Err(error) => {
                    places.into_iter().for_each(|at| replies[at] = Some(Err(error.clone())));
                }
            }
        }
        let mut results = Vec::with_capacity(calls.len());
        for (reply, (_, cmd)) in replies.into_iter().zip(calls) {
            results.push(match reply {
                // The shared connection follows the key.
                Some(Err(error)) if matches!(error.code(), Some("MOVED" | "ASK" | "TRYAGAIN")) => {
                    self.command(cmd).await
                }
                Some(reply) => reply.map_err(|error| self.classify(error)),
                None => Err(Error::protocol("a reply is missing")),
            });
        }
        results
    }

    async fn ask_peer(&self, part: &Part) -> RedisResult<Replies> {
        let mut connection = part.peer.alone(&mut self.inner.limit()).await?;
        let trip = self.inner.round_trips.trip(RedisOperation::Other);
        let sent = Request::new(&part.pipe).send(&mut connection).await;
        self.inner.round_trips.end(trip, &sent);
        if is_lost(&sent) {
            drop(deadpool_redis::Connection::take(connection));
        }
        sent
    }
}
