//! Reading the names of all queues, and the nodes of the fleet.

use std::time::Duration;

use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::connection::reply::server_time;
use crate::broker::fleet::roster::SILENT;
use crate::broker::{Broker, NodeInfo, NodeOrder};
use crate::job::{Error, QueueName, Timestamp, as_millis};

/// The number of names that are read at once.
const PAGE: usize = 500;

/// A node of the roster.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NodeView {
    /// The node's name.
    pub name: String,
    /// The node's last heartbeat, by the server's clock.
    pub seen: Timestamp,
    /// The time since the last heartbeat.
    #[serde(serialize_with = "as_millis")]
    pub silent: Duration,
    /// The order of an operator that the node carries out, or will within about 2 s.
    pub order: Option<NodeOrder>,
    /// The node's description of itself; `None` before the node has stored one, and when this
    /// version cannot read it.
    pub info: Option<NodeInfo>,
}

impl NodeView {
    /// Returns true when the node has been silent for so long that it may be declared dead at any
    /// moment.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        self.silent >= SILENT
    }
}

impl Broker {
    /// Returns the names of all queues that were ever used, sorted.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn queues(&self) -> Result<Vec<QueueName>, Error> {
        let mut names = vec![];
        let mut cursor = String::from("0");
        loop {
            let mut cmd = redis::cmd("SSCAN");
            cmd.arg(&self.roster_keys().queues).arg(&cursor).arg("COUNT").arg(PAGE);
            let [next, page] = reply::items::<2>(self.command(&cmd).await?)?;
            for name in reply::array(page)? {
                // A member that is not a queue name was not written by Poolder.
                names.extend(reply::text(name).ok().and_then(|name| QueueName::new(name).ok()));
            }
            cursor = reply::text(next)?;
            if cursor == "0" {
                break;
            }
        }
        names.sort_unstable();
        names.dedup();
        Ok(names)
    }

    /// Returns the nodes of the roster, sorted by name: nodes that send heartbeats, or did until a
    /// moment ago.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn nodes(&self) -> Result<Vec<NodeView>, Error> {
        let roster = self.roster_keys();
        let now = server_time(self.command(&redis::cmd("TIME")).await?)?;
        let mut nodes: Vec<NodeView> = vec![];
        loop {
            let mut cmd = redis::cmd("ZRANGE");
            cmd.arg(&roster.nodes).arg(nodes.len()).arg(nodes.len() + PAGE - 1).arg("WITHSCORES");
            let page = reply::array(self.command(&cmd).await?)?;
            if page.is_empty() {
                break;
            }
            let (names, scores): (Vec<_>, Vec<_>) =
                page.chunks_exact(2).map(|pair| (pair[0].clone(), pair[1].clone())).unzip();
            let names = names.into_iter().map(reply::text).collect::<Result<Vec<_>, _>>()?;
            let mut pipe = redis::pipe();
            pipe.cmd("HMGET").arg(&roster.about).arg(&names);
            pipe.cmd("HMGET").arg(&roster.orders).arg(&names);
            let mut replies = self.pipeline(&pipe).await?.into_iter();
            let mut next = || match replies.next() {
                Some(reply) => reply::array(reply.map_err(|error| self.classify(error))?),
                None => Err(Error::protocol("a reply is missing")),
            };
            let described = next()?.into_iter().zip(next()?);
            let full = names.len() == PAGE;
            for ((name, score), (about, order)) in names.into_iter().zip(scores).zip(described) {
                let seen = Timestamp::from_millis(reply::int(score)?);
                let info = match about {
                    Value::Nil => None,
                    // A newer version may store what this version cannot read.
                    about => serde_json::from_slice(&reply::bytes(about)?).ok(),
                };
                let order = reply::text(order).ok().and_then(|order| NodeOrder::read(&order));
                nodes.push(NodeView { name, seen, silent: now.since(seen), order, info });
            }
            if !full {
                break;
            }
        }
        nodes.sort_unstable_by(|a, b| a.name.cmp(&b.name));
        nodes.dedup_by(|a, b| a.name == b.name);
        Ok(nodes)
    }
}
