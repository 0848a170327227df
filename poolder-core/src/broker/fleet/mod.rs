//! The nodes of a fleet: the roster of live and dead nodes, the leaders of partitions, pool sets,
//! commands of operators, and hints.

mod beat_limit;
pub(super) mod commands;
pub(super) mod hints;
pub(super) mod leader;
pub(super) mod node_info;
pub(super) mod pool_set;
pub(super) mod roster;
