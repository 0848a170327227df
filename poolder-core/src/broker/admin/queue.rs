//! Reading the state of a queue, the names of all queues, and the nodes of the fleet.

use std::collections::BTreeMap;
use std::time::Duration;

use redis::Value;
use serde::Serialize;

use crate::broker::connection::reply;
use crate::broker::connection::reply::{entry_time, server_time};
use crate::broker::fleet::roster::SILENT;
use crate::broker::{Broker, NodeInfo, scripts};
use crate::job::{Error, Lane, Partition, QueueName, Timestamp, as_millis};
use crate::view::{LaneView, LeaderView, QueueView};

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
    /// Returns the state of a partition at one moment, which one script reads.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn overview(&self, partition: &Partition) -> Result<QueueView, Error> {
        let keys = self.keys(partition);
        let own = [&keys.due, &keys.dead, &keys.stats, &keys.meta, &keys.leader, &keys.cancelled];
        let lanes = keys.ready.iter().chain(own).chain([&keys.bodies]).map(String::as_str);
        let cmd = scripts::call(&scripts::OVERVIEW, lanes);
        let reply = self.command(&cmd).await?;
        let [now, lanes, due, next, dead, cancels, paused, leader, stats] =
            reply::items::<9>(reply)?;
        let mut counters = BTreeMap::new();
        let mut stats = reply::array(stats)?.into_iter();
        while let (Some(name), Some(value)) = (stats.next(), stats.next()) {
            // A counter that is not a number is left out; it starts again when it is next counted.
            if let (Ok(name), Ok(value)) = (reply::text(name), count(value)) {
                counters.insert(name, value);
            }
        }
        // The only counter that also decreases: the number of jobs that wait for a retry.
        let retrying = counters.remove("retrying").unwrap_or(0);
        let views = Lane::ALL.into_iter().zip(reply::array(lanes)?);
        Ok(QueueView {
            partition: partition.clone(),
            now: Timestamp::from_millis(reply::int(now)?),
            paused: moment(paused)?,
            lanes: views.map(|(lane, view)| lane_view(lane, view)).collect::<Result<_, _>>()?,
            due: count(due)?,
            retrying,
            next_due: moment(next)?,
            dead: count(dead)?,
            pending_cancels: count(cancels)?,
            leader: leader_view(leader)?,
            counters,
        })
    }

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
            let mut cmd = redis::cmd("HMGET");
            cmd.arg(&roster.about).arg(&names);
            let about = reply::array(self.command(&cmd).await?)?;
            let full = names.len() == PAGE;
            for ((name, score), about) in names.into_iter().zip(scores).zip(about) {
                let seen = Timestamp::from_millis(reply::int(score)?);
                let info = match about {
                    Value::Nil => None,
                    // A newer version may store what this version cannot read.
                    about => serde_json::from_slice(&reply::bytes(about)?).ok(),
                };
                nodes.push(NodeView { name, seen, silent: now.since(seen), info });
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

fn lane_view(lane: Lane, view: Value) -> Result<LaneView, Error> {
    let [ready, running, oldest] = reply::items::<3>(view)?;
    let oldest = entry_time(&reply::text(oldest)?);
    Ok(LaneView { lane, ready: count(ready)?, running: count(running)?, oldest })
}

fn leader_view(lease: Value) -> Result<Option<LeaderView>, Error> {
    let [node, term, until] = reply::items::<3>(lease)?;
    let (node, term) = (reply::text(node)?, count(term)?);
    Ok(moment(until)?.filter(|_| !node.is_empty()).map(|until| LeaderView { node, term, until }))
}

fn count(value: Value) -> Result<u64, Error> {
    Ok(u64::try_from(reply::int(value)?).unwrap_or(0))
}

/// Reads a time in ms; `None` for a number that is not positive.
fn moment(value: Value) -> Result<Option<Timestamp>, Error> {
    let millis = reply::int(value)?;
    Ok((millis > 0).then(|| Timestamp::from_millis(millis)))
}
