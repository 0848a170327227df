//! Sends commands to the servers that have their keys, and again to the new server when a key has
//! moved. Only a command that the server certainly did not execute is sent again.
//!
//! The futures of rare steps are boxed: those of usual steps stay small, and those of handlers that
//! await them are not nested more deeply than the compiler allows.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use redis::{Arg, Cmd, Pipeline, RedisError, RedisResult, Value};

use crate::broker::connection::broker::BrokerInner;
use crate::broker::connection::endpoint::Host;
use crate::broker::connection::failure::{code, unsent};
use crate::broker::connection::limit::Limit;
use crate::broker::connection::peer::Peer;
use crate::broker::connection::request::Replies;
use crate::broker::connection::routing::slot_of;

/// The time for which a command is sent again while a key moves or a new primary is missing, within
/// the limit of its operation. After it the caller gets the error.
pub(in crate::broker) const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two tries.
pub(in crate::broker) const PAUSE: Duration = Duration::from_millis(50);

/// The target of the next try, derived from an error.
pub(in crate::broker) enum Redirection {
    /// The same server, after a pause.
    Later,
    /// The server that has the key now.
    Elsewhere,
    /// This server, for one try.
    Ask(Host),
}

impl BrokerInner {
    /// Begins an operation that may take as long as a reply.
    pub(in crate::broker) fn limit(&self) -> Limit {
        Limit::new(self.config.longest_reply())
    }

    /// Sends a command.
    pub(in crate::broker) async fn send(&self, cmd: &Cmd, limit: &mut Limit) -> RedisResult<Value> {
        let slot = self.slot_in(cmd);
        loop {
            let sent = match self.route.peer(slot, limit).await {
                Ok(peer) => peer.command(cmd, limit).await,
                Err(error) => Err(unsent(error)),
            };
            let Err(error) = sent else { return sent };
            let redirection = self.redirection(&error);
            match redirection {
                Some(Redirection::Ask(host)) => {
                    limit.next_step();
                    let answer = Box::pin(self.ask(host, cmd, limit)).await;
                    if answer.as_ref().err().is_none_or(|error| self.redirection(error).is_none()) {
                        return answer;
                    }
                }
                Some(_) => {}
                None => return Err(error),
            }
            if limit.leaves_no_try(PAUSE, PATIENCE) {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
            limit.next_step();
        }
    }

    /// Sends commands in one pipeline, or in one per server of a cluster. Returns one reply per
    /// command.
    pub(in crate::broker) async fn send_all(
        &self,
        pipe: &Pipeline,
        limit: &mut Limit,
    ) -> RedisResult<Replies> {
        let mut replies = if self.route.is_one() {
            let peer = self.route.peer(None, limit).await.map_err(unsent)?;
            peer.pipeline(pipe, limit).await?
        } else {
            Box::pin(self.send_by_peer(pipe, limit)).await
        };
        for (cmd, reply) in pipe.cmd_iter().zip(&mut replies) {
            if reply.as_ref().err().is_some_and(|error| self.redirection(error).is_some()) {
                limit.next_step();
                *reply = Box::pin(self.send(cmd, limit)).await;
            }
        }
        Ok(replies)
    }

    /// Sends the commands of each server in one pipeline, in their order, to all servers at the
    /// same time.
    async fn send_by_peer(&self, pipe: &Pipeline, limit: &mut Limit) -> Replies {
        let mut replies: Vec<Option<RedisResult<Value>>> = pipe.cmd_iter().map(|_| None).collect();
        let mut parts: Vec<(Arc<Peer>, Pipeline, Vec<usize>)> = vec![];
        for (at, cmd) in pipe.cmd_iter().enumerate() {
            let peer = match self.route.peer(self.slot_in(cmd), limit).await {
                Ok(peer) => peer,
                Err(error) => {
                    replies[at] = Some(Err(unsent(error)));
                    continue;
                }
            };
            match parts.iter_mut().find(|(known, ..)| Arc::ptr_eq(known, &peer)) {
                Some((_, part, places)) => {
                    part.add_command(cmd.clone());
                    places.push(at);
                }
                None => {
                    let mut part = redis::pipe();
                    part.add_command(cmd.clone());
                    parts.push((peer, part, vec![at]));
                }
            }
        }
        let send = |(peer, part, places): (Arc<Peer>, Pipeline, Vec<usize>)| {
            let mut limit = limit.clone();
            async move { (peer.pipeline(&part, &mut limit).await, places) }
        };
        for (sent, places) in join_all(parts.into_iter().map(send)).await {
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
        let lost = || Err(RedisError::from((redis::ErrorKind::Client, "a reply is missing")));
        replies.into_iter().map(|reply| reply.unwrap_or_else(lost)).collect()
    }

    /// Sends a command to the server that the slot is moving to.
    async fn ask(&self, host: Host, cmd: &Cmd, limit: &mut Limit) -> RedisResult<Value> {
        self.route.peer_at(Some(host))?.link.asking(cmd, limit).await
    }

    /// Returns the target of the next try, `None` when the command must not be sent again. Also
    /// [learns](Self::learn) from the error.
    pub(in crate::broker) fn redirection(&self, error: &RedisError) -> Option<Redirection> {
        self.learn(error);
        match code(error) {
            Some("MOVED") => Some(Redirection::Elsewhere),
            Some("ASK") => redirected_to(error).map(|(host, _)| Redirection::Ask(host)),
            Some("TRYAGAIN" | "CLUSTERDOWN") => Some(Redirection::Later),
            Some("READONLY" | "MASTERDOWN") if self.route.may_move() => {
                Some(Redirection::Elsewhere)
            }
            _ if error.is_connection_refusal() && self.route.may_move() => {
                Some(Redirection::Elsewhere)
            }
            _ => None,
        }
    }

    /// Takes a slot's new server from an error, and begins to look the servers up when the error
    /// shows that they may have changed. The other servers are not in doubt.
    pub(in crate::broker) fn learn(&self, error: &RedisError) {
        if !self.route.may_move() {
            return;
        }
        let code = code(error);
        if code == Some("MOVED")
            && let Some((host, slot)) = redirected_to(error)
        {
            self.route.moved(slot, host);
        }
        if error.is_io_error()
            || matches!(code, Some("MOVED" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN"))
        {
            self.route.doubt();
        }
    }

    /// Returns the slot of the first key of the command, which is the first argument that begins
    /// like a key of the namespace; `None` when all commands go to one server.
    pub(super) fn slot_in(&self, cmd: &Cmd) -> Option<u16> {
        if self.route.is_one() {
            return None;
        }
        cmd.args_iter().find_map(|arg| match arg {
            Arg::Simple(bytes) if self.keys.is_ours(bytes) => Some(slot_of(bytes)),
            _ => None,
        })
    }
}

/// Returns the server that an error names, and the slot.
fn redirected_to(error: &RedisError) -> Option<(Host, u16)> {
    let (address, slot) = error.redirect_node()?;
    let (host, port) = address.rsplit_once(':')?;
    // The address is empty when the server does not know its own host.
    (!host.is_empty()).then_some((Host(host.into(), port.parse().ok()?), slot))
}
