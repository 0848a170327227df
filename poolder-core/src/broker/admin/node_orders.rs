//! Orders of operators for nodes, and the removal of a node that is silent.

use crate::broker::connection::reply::{self, server_time};
use crate::broker::fleet::roster::{SILENT, mark_call};
use crate::broker::{Broker, NodeOrder, scripts};
use crate::job::{Error, Timestamp};

impl Broker {
    /// Gives an order to a node, which obeys within about 2 s. An order to stop stands.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the roster has no node of this name; also returns an error when
    /// the server does not answer or refuses the command.
    pub async fn order_node(&self, node: &str, order: NodeOrder) -> Result<(), Error> {
        let keys = self.roster_keys();
        let mut cmd = scripts::call(&scripts::NODE_ORDER, [keys.nodes.as_str(), &keys.orders]);
        cmd.arg(node).arg(order.as_str());
        match reply::int(self.command(&cmd).await?)? {
            0 => Err(no_node(node)),
            _ => Ok(()),
        }
    }

    /// Declares a node dead that has been silent for 8 s, as other nodes would: they take over its
    /// jobs at once.
    ///
    /// # Errors
    /// [`Error::is_not_found`] when the roster has no node of this name, [`Error::is_gone`] when the
    /// node sends heartbeats; also returns an error when the server does not answer or refuses the
    /// command.
    pub async fn forget_node(&self, node: &str) -> Result<(), Error> {
        let keys = self.roster_keys();
        let mut pipe = redis::pipe();
        pipe.cmd("TIME").cmd("ZSCORE").arg(&keys.nodes).arg(node);
        let [now, beat] = reply::items::<2>(redis::Value::Array(
            self.pipeline(&pipe)
                .await?
                .into_iter()
                .map(|reply| reply.map_err(|error| self.classify(error)))
                .collect::<Result<_, _>>()?,
        ))?;
        if beat == redis::Value::Nil {
            return Err(no_node(node));
        }
        let (now, beat) = (server_time(now)?, reply::int(beat)?);
        let beats = || Error::gone(format!("node {node} sends heartbeats: stop it instead"));
        if now.since(Timestamp::from_millis(beat)) < SILENT {
            return Err(beats());
        }
        match reply::int(self.command(&mark_call(keys, node, &beat.to_string())).await?)? {
            0 => Err(beats()),
            _ => Ok(()),
        }
    }
}

fn no_node(node: &str) -> Error {
    Error::not_found(format!("there is no node {node:?}"))
}
