//! The layer of background services: they keep the node in the roster and the jobs of its partitions
//! moving while slots run them. Imports `process` and `run`.
//!
//! | file | what it does |
//! |---|---|
//! | `heartbeat` | sends beats from a thread of its own, marks dead nodes, learns of its own death |
//! | `leader` | holds the leadership of a partition |
//! | `leader_task` | repeats a task while this node leads |
//! | `promoter` | moves due jobs to their lanes; leader only |
//! | `rescuer` | takes back the jobs that dead nodes hold; leader only |
//! | `scheduler` | publishes the ticks of schedules; leader only |
//! | `pruner` | removes dead jobs and commands that are too old; leader only |
//! | `command_watcher` | learns which partitions are paused and which jobs are cancelled |
//! | `listener` | hears hints, so that the other services poll less often |
//! | `service_context` | holds the values that the services of a partition share |
//! | `spawn` | starts services, and starts them again when they break |
//! | `node_context` | holds the values that all pools of a node share |

mod command_watcher;
pub(crate) mod heartbeat;
mod leader;
mod leader_task;
mod listener;
pub(crate) mod node_context;
mod promoter;
mod pruner;
mod rescuer;
mod scheduler;
pub(crate) mod service_context;
pub(crate) mod spawn;
