//! Tests of applications: a queue in memory, without a server, with a node that runs jobs when the
//! test says so; a private server with nodes that start, stop and are killed; and stored jobs that
//! later versions must read. [`TestQueue`] has an example; [`TestServer`] has one with nodes.

mod drain;
mod expect;
mod idle;
mod node;
mod node_log;
mod payload;
mod perform;
mod queue;
mod queue_node;
mod run;
mod server;

pub use drain::{Drain, Sums};
#[doc(hidden)]
pub use expect::{Expected, HoldsJobs};
pub use idle::UntilIdle;
pub use node::TestNode;
#[doc(hidden)]
pub use payload::check_payload;
pub use perform::Perform;
pub use queue::TestQueue;
pub use queue_node::QueueNode;
pub use run::{Fate, Run};
pub use server::TestServer;
