//! Sends commands to the servers that have their keys, and again to the new server when a key has
//! moved. Only a command that the server certainly did not execute is sent again.

use std::time::Duration;

use redis::{Arg, Cmd, Pipeline, RedisError, RedisResult, Value};
use tokio::time::Instant;

use crate::broker::connection::broker::BrokerInner;
use crate::broker::connection::endpoint::Host;
use crate::broker::connection::failure::{code, unsent};
use crate::broker::connection::request::Replies;
use crate::broker::connection::routing::slot_of;

/// The time for which a command is sent again while a key moves or a new primary is missing. After
/// it the caller gets the error.
pub(in crate::broker) const PATIENCE: Duration = Duration::from_secs(3);
/// The pause between two tries.
pub(in crate::broker) const PAUSE: Duration = Duration::from_millis(50);

/// The target of the next try, derived from an error.
pub(in crate::broker) enum Redirection {
    /// The same server, after a pause.
    Later,
    /// The server that has the key now, after a new lookup.
    Elsewhere,
    /// This server, for one try.
    Ask(Host),
}

impl BrokerInner {
    /// Sends a command.
    pub(in crate::broker) async fn send(&self, cmd: &Cmd) -> RedisResult<Value> {
        let slot = self.slot_in(cmd);
        let since = Instant::now();
        loop {
            let sent = match self.route.peer(slot).await {
                Ok(peer) => peer.link.command(cmd).await,
                Err(error) => Err(unsent(error)),
            };
            let Err(error) = sent else { return sent };
            let redirection = self.redirection(&error);
            match redirection {
                Some(Redirection::Ask(host)) => {
                    let answer = self.ask(host, cmd).await;
                    if answer.as_ref().err().is_none_or(|error| self.redirection(error).is_none()) {
                        return answer;
                    }
                }
                Some(_) => {}
                None => return Err(error),
            }
            if since.elapsed() > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends commands in one pipeline, or in one per slot to a cluster. Returns one reply per
    /// command.
    pub(in crate::broker) async fn send_all(&self, pipe: &Pipeline) -> RedisResult<Replies> {
        let mut replies = if self.route.is_one() {
            let peer = self.route.peer(None).await.map_err(unsent)?;
            peer.link.pipeline(pipe).await?
        } else {
            self.send_by_slot(pipe).await
        };
        for (cmd, reply) in pipe.cmd_iter().zip(&mut replies) {
            if reply.as_ref().err().is_some_and(|error| self.redirection(error).is_some()) {
                *reply = self.send(cmd).await;
            }
        }
        Ok(replies)
    }

    async fn send_by_slot(&self, pipe: &Pipeline) -> Replies {
        let slots: Vec<Option<u16>> = pipe.cmd_iter().map(|cmd| self.slot_in(cmd)).collect();
        let mut replies: Vec<Option<RedisResult<Value>>> = slots.iter().map(|_| None).collect();
        let mut distinct = slots.clone();
        distinct.sort_unstable();
        distinct.dedup();
        for slot in distinct {
            let places: Vec<usize> = (0..slots.len()).filter(|at| slots[*at] == slot).collect();
            let mut part = redis::pipe();
            for cmd in pipe.cmd_iter().zip(&slots).filter(|(_, of)| **of == slot) {
                part.add_command(cmd.0.clone());
            }
            let sent = match self.route.peer(slot).await {
                Ok(peer) => peer.link.pipeline(&part).await,
                Err(error) => Err(unsent(error)),
            };
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
    async fn ask(&self, host: Host, cmd: &Cmd) -> RedisResult<Value> {
        self.route.peer_at(Some(host))?.link.asking(cmd).await
    }

    /// Returns the target of the next try, `None` when the command must not be sent again. Clears
    /// the cached servers when the error shows that they may have changed.
    pub(in crate::broker) fn redirection(&self, error: &RedisError) -> Option<Redirection> {
        self.learn(error);
        match code(error) {
            Some("MOVED") => Some(Redirection::Elsewhere),
            Some("ASK") => {
                // The number next to the address is the slot, not the port.
                let (address, _slot) = error.redirect_node()?;
                let (host, port) = address.rsplit_once(':')?;
                Some(Redirection::Ask(Host(host.into(), port.parse().ok()?)))
            }
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

    /// Clears the cached servers when an error shows that they may have changed.
    pub(in crate::broker) fn learn(&self, error: &RedisError) {
        let moved =
            matches!(code(error), Some("MOVED" | "READONLY" | "MASTERDOWN" | "CLUSTERDOWN"));
        if self.route.may_move() && (moved || error.is_io_error()) {
            self.route.forget();
        }
    }

    /// Returns the slot of the first key of the command, which is the first argument that begins
    /// like a key of the namespace; `None` when all commands go to one server.
    fn slot_in(&self, cmd: &Cmd) -> Option<u16> {
        if self.route.is_one() {
            return None;
        }
        cmd.args_iter().find_map(|arg| match arg {
            Arg::Simple(bytes) if self.keys.is_ours(bytes) => Some(slot_of(bytes)),
            _ => None,
        })
    }
}
