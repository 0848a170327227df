//! The life of a job in Redis: enqueue, claim, settle, promote, rescue.

pub(super) mod claim;
pub(super) mod completions;
pub(super) mod durability;
pub(super) mod enqueue;
pub(super) mod pending;
pub(super) mod progress;
pub(super) mod promote;
pub(super) mod rescue;
pub(super) mod settle;
