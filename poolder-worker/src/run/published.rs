//! A pool as its node describes it in the roster.

use poolder_core::broker::NodeKind;

use super::pool::PoolPlan;
use super::pool_spec::KindPlace;

/// A pool as its node describes it in the roster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PublishedPool {
    pub(crate) queue: String,
    /// The number of slots in this node; `None` for an addressed pool, of which the node has the
    /// slots that it holds at the moment.
    pub(crate) slots: Option<usize>,
    /// The kinds that the workers know, in order of their names.
    pub(crate) kinds: Vec<NodeKind>,
}

/// The pools of a node.
pub(crate) type PublishedPools = Vec<PublishedPool>;

impl PublishedPool {
    /// Returns the pool of a plan.
    pub(crate) fn of(plan: &PoolPlan) -> Self {
        let (spec, queue) = (&plan.spec, plan.spec.queue.to_string());
        let kind = |(name, place): (&&str, &KindPlace)| {
            NodeKind::new(queue.clone(), (*name).to_owned(), spec.versions[place.worker])
        };
        let mut kinds: Vec<NodeKind> = spec.kinds.iter().map(kind).collect();
        kinds.sort_unstable();
        let slots = (!spec.mode.is_addressed()).then_some(plan.size.into());
        Self { queue, slots, kinds }
    }
}
