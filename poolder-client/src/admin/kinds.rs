//! The kinds of a queue that a node can run, as it describes itself.

use poolder_core::QueueName;
use poolder_core::broker::NodeInfo;

/// The most kinds that a node says.
const MOST_KINDS: usize = 500;

/// Returns the kinds of a queue that a node can run, with the highest version of each; `None` when
/// the node does not say all: its version is older, or it has too many.
pub(crate) fn kinds_for(info: &NodeInfo, queue: &QueueName) -> Option<Vec<(String, u16)>> {
    if info.kinds.is_empty() || info.kinds.len() >= MOST_KINDS {
        return None;
    }
    let own = info.kinds.iter().filter(|kind| kind.queue == queue.as_str());
    Some(own.map(|kind| (kind.name.clone(), kind.version)).collect())
}
