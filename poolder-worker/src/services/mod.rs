//! The layer of background services: they keep the node in the roster and the jobs of its
//! partitions moving while slots run them. Imports `process` and `run`.
//!
//! | file | what it does |
//! |---|---|
//! | `heartbeat` | sends beats from a thread of its own, marks dead nodes, notices when this node is marked |
//! | `beat_pace` | stretches the times of the beats with the fleet |
//! | `introduction` | writes the description of the node in the roster |
//! | `suspicion` | decides which silent nodes are dead |
//! | `joint_wait` | waits for jobs of all pools that have been idle for a while, on one connection |
//! | `leader` | holds the leadership of a partition |
//! | `leader_task` | repeats a task while this node leads |
//! | `progress_writer` | writes the progress that handlers report |
//! | `finished_writer` | writes the finished jobs that pools keep |
//! | `history_writer` | adds the counts of the node to the history |
//! | `journal_writer` | writes the events of this node into the journal of the fleet |
//! | `queue_sampler` | takes a sample of the queues for the history |
//! | `promoter` | moves due jobs to their lanes; leader only |
//! | `sorter` | puts jobs of a limited queue into their groups; leader only |
//! | `rescuer` | takes back the jobs that dead nodes hold; leader only |
//! | `take_back` | moves the jobs that a consumer holds back to their lanes |
//! | `dead_hooks` | tells the hooks of this node of buried jobs |
//! | `scheduler` | publishes the ticks of schedules; leader only |
//! | `pruner` | removes dead jobs and cancellations that are too old; leader only |
//! | `command_watcher` | reads which partitions are paused and which jobs are cancelled |
//! | `listener` | receives hints, so that the other services poll less often |
//! | `service_context` | holds the values that the services of a partition share |
//! | `spawn` | starts services, and restarts a service that panicked |
//! | `node_context` | holds the values that all pools of a node share |

mod beat_pace;
mod command_watcher;
mod dead_hooks;
pub(crate) mod finished_writer;
pub(crate) mod heartbeat;
pub(crate) mod history_writer;
pub(crate) mod introduction;
pub(crate) mod joint_wait;
pub(crate) mod journal_writer;
mod leader;
mod leader_task;
mod listener;
pub(crate) mod node_context;
mod progress_writer;
mod promoter;
mod pruner;
mod queue_sampler;
mod rescuer;
mod scheduler;
pub(crate) mod service_context;
mod sorter;
pub(crate) mod spawn;
mod suspicion;
pub(crate) mod take_back;
