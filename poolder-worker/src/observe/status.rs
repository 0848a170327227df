//! A node and its pools, as a program reads them.

use std::net::SocketAddr;

use poolder_core::policy::dispatch::Mode;
use serde::Serialize;

use super::health::{Health, NodePhase};

/// A node at one moment, as `/statusz` shows it in JSON. Made by
/// [`NodeHandle::status`](crate::NodeHandle::status).
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct NodeStatus {
    /// The name of the node in the roster; `None` before it has started. A node that was declared
    /// dead takes a new one.
    pub node: Option<String>,
    /// How far its life has come.
    pub phase: NodePhase,
    /// Whether it is live and ready.
    pub health: Health,
    /// The version of Poolder.
    pub version: &'static str,
    /// The deploy that it belongs to: see [`NodeBuilder::deploy`](crate::NodeBuilder::deploy).
    pub deploy: String,
    /// The id of the process.
    pub pid: u32,
    /// The time since the node was started, in seconds; 0 before that.
    pub uptime_seconds: f64,
    /// The address of its listener; `None` without one.
    pub listens: Option<SocketAddr>,
    /// Its pools, in order of their queues.
    pub pools: Vec<PoolStatus>,
}

/// A pool of a running node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PoolStatus {
    /// The queue.
    pub queue: String,
    /// The way in which jobs are assigned to slots.
    pub mode: Mode,
    /// The number of slots that was set in this node, by the pool or by the last resize here.
    pub size: u16,
    /// False when the pool was stopped in this node. Stopping an addressed pool in the fleet does
    /// not change it.
    pub running: bool,
    /// The number of slots in this node: those of an addressed pool that the node holds at the
    /// moment, else the size.
    pub slots: u32,
    /// The number of these slots that run a job.
    pub busy: u32,
}
