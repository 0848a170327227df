//! The moments that charts name: the first node of a deploy, and the death of a node.

use poolder_client::Client;
use poolder_core::broker::DeployMark;
use poolder_core::history::{JournalEvent, JournalFilter};
use poolder_core::{Error, Timestamp};

/// The entries of the journal that are looked at, the latest: one read.
const ENTRIES: usize = 499;

/// The deploys and the deaths of nodes, the earliest first.
#[derive(Debug, Default)]
pub(crate) struct Events {
    pub(crate) deploys: Vec<DeployMark>,
    pub(crate) deaths: Vec<Death>,
}

/// The death of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Death {
    pub(crate) at: Timestamp,
    pub(crate) node: String,
}

impl Events {
    /// Reads the events. The deaths are those among the latest entries of the journal.
    pub(super) async fn read(client: &Client) -> Result<Self, Error> {
        // All entries are read, since a search for deaths alone may take ten reads.
        let all = JournalFilter::default();
        let (deploys, journal) =
            futures_util::future::try_join(client.deploys(), client.journal(&all, None, ENTRIES))
                .await?;
        let died = journal.entries.into_iter().rev();
        let died = died.filter(|entry| entry.record.event == JournalEvent::NodeDied);
        let deaths = died.map(|entry| Death { at: entry.at, node: entry.record.node }).collect();
        Ok(Self { deploys, deaths })
    }
}
