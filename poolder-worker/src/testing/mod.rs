//! Tests of an application: a private server with nodes that start, stop and are killed, and stored
//! jobs that later versions must read.

mod idle;
mod node;
mod node_log;
mod payload;
mod server;

pub use idle::UntilIdle;
pub use node::TestNode;
#[doc(hidden)]
pub use payload::check_payload;
pub use server::TestServer;
