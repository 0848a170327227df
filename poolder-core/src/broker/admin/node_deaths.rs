//! Reading which nodes were declared dead.

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::Error;

/// The most names of a reading.
const MOST: usize = 500;

impl Broker {
    /// Returns the names of the nodes that were declared dead last, at most 500. A name is kept for
    /// seven days, and never comes back: a node that was declared dead goes on under another one.
    ///
    /// # Errors
    /// Returns an error when the server does not answer or refuses the command.
    pub async fn dead_nodes(&self) -> Result<Vec<String>, Error> {
        let mut cmd = redis::cmd("ZRANGE");
        cmd.arg(&self.roster_keys().marks).arg(-(MOST as i64)).arg(-1);
        let names = reply::array(self.command(&cmd).await?)?;
        // A name that is not text was not written by a node.
        Ok(names.into_iter().filter_map(|name| reply::text(name).ok()).collect())
    }
}
