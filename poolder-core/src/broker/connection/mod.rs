//! Connections to the servers: addresses, routing, commands and replies.
//!
//! Does not know about jobs. Imports [`keys`](super::keys) for the keys that
//! [`Broker`](super::Broker) caches, and [`scripts`](super::scripts) to load scripts.

pub(super) mod ask_all;
pub(super) mod auto_pipeline;
pub(super) mod broker;
pub(super) mod config;
pub(super) mod endpoint;
pub(super) mod failure;
pub(super) mod joined;
pub(super) mod limit;
pub(super) mod lookup;
pub(super) mod open;
pub(super) mod opening;
pub(super) mod peer;
pub(super) mod read_together;
pub(super) mod reply;
pub(super) mod reply_limit;
pub(super) mod request;
pub(super) mod round_trips;
pub(super) mod routing;
pub(super) mod send;
pub(super) mod shared;
pub(super) mod tls;
pub(super) mod together;
