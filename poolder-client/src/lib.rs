//! The Poolder client: what a producer needs.
//!
//! Users take it from the `poolder` facade.

mod client;
mod enqueue;

pub use client::Client;
pub use enqueue::Enqueue;
