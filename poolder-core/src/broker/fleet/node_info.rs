//! The description of a node in the roster, which the node writes itself.

use serde::{Deserialize, Serialize};

/// The description of a node. Stored as JSON, readable without Poolder. A field that the version of
/// the node does not write is empty or 0, and one that this version does not know is passed over.
///
/// The node writes it again every minute, and within two seconds when its pools have changed; the
/// fields `rss`, `busy` and `held` are up to ten seconds old while the slots of the node start or
/// end jobs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct NodeInfo {
    /// The process id.
    pub pid: u32,
    /// The version of Poolder that the node was built with.
    pub version: String,
    /// When this incarnation started, in ms since 1970 by the server's clock.
    pub started: i64,
    /// The pools of the node: queue and number of slots in this node. Of an addressed pool these
    /// are the slots that the node holds.
    pub pools: Vec<(String, usize)>,
    /// The kinds of jobs that the node can run, at most 500.
    pub kinds: Vec<NodeKind>,
    /// The deploy that the node belongs to, such as a version or a commit.
    pub deploy: String,
    /// The name of the machine; empty where the system does not tell.
    pub host: String,
    /// The memory of the process that is in use, in bytes; 0 where the system does not tell.
    pub rss: u64,
    /// The number of slots that run a job.
    pub busy: u32,
    /// The number of slots of addressed pools that the node holds.
    pub held: u32,
    /// True for a node that claims from limited queues as these need it.
    pub limits: bool,
}

/// A kind of jobs that a node can run.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub struct NodeKind {
    /// The queue of the pool whose worker knows the kind.
    pub queue: String,
    /// The name of the kind.
    pub name: String,
    /// The highest version of the kind that the worker can run; it runs all lower ones as well.
    pub version: u16,
}

impl NodeKind {
    /// Returns a kind of this name that the pool of a queue runs up to this version.
    #[must_use]
    pub fn new(queue: String, name: String, version: u16) -> Self {
        Self { queue, name, version }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn descriptions_of_older_and_newer_versions_can_be_read() {
        let old = r#"{"pid":7,"version":"0.1.0","started":5,"pools":[["mail",4]]}"#;
        let info: NodeInfo = serde_json::from_str(old).unwrap();
        assert_eq!((info.pid, info.started, info.pools.len()), (7, 5, 1));
        assert_eq!((info.kinds.len(), info.deploy.as_str(), info.busy, info.held), (0, "", 0, 0));
        let new =
            r#"{"pid":7,"busy":2,"kinds":[{"queue":"q","name":"k","version":3,"x":1}],"y":{}}"#;
        let info: NodeInfo = serde_json::from_str(new).unwrap();
        assert_eq!((info.busy, &info.version), (2, &String::new()));
        assert_eq!(info.kinds, [NodeKind::new("q".into(), "k".into(), 3)]);
    }
}
