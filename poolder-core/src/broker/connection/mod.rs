//! The way to the servers: where they are, connections to them, commands and replies.
//!
//! Knows no job. Imports [`keys`](super::keys) for the keys that [`Broker`](super::Broker) caches.

pub(super) mod auto_pipeline;
pub(super) mod broker;
pub(super) mod config;
pub(super) mod endpoint;
pub(super) mod failure;
pub(super) mod reply;
pub(super) mod routing;
pub(super) mod send;
pub(super) mod shared;
pub(super) mod tls;
