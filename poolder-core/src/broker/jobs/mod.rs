//! The life of a job in Redis: enqueue, claim, settle, and the nodes that wait for it; also its completion record and progress.

pub(super) mod claim;
pub(super) mod claimed;
pub(super) mod completions;
pub(super) mod connection_id;
pub(super) mod durability;
pub(super) mod enqueue;
pub(super) mod finished;
pub(super) mod finished_job;
pub(super) mod lane_consumer;
mod lane_read;
pub(super) mod pending;
pub(super) mod prepared;
pub(super) mod progress;
pub(super) mod receipt;
pub(super) mod search;
pub(super) mod settle;
pub(super) mod value;
pub(super) mod wait;
pub(super) mod wait_permit;
