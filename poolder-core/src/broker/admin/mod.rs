//! Inspecting and changing queues, for operators.

pub(super) mod ahead;
pub(super) mod bury;
pub(super) mod cancel;
pub(super) mod deaths;
pub(super) mod find;
pub(super) mod find_anywhere;
pub(super) mod job_facts;
pub(super) mod job_view;
pub(super) mod lane_facts;
pub(super) mod node_deaths;
pub(super) mod node_orders;
pub(super) mod nodes;
pub(super) mod pages;
pub(super) mod partition_facts;
pub(super) mod partitions;
pub(super) mod pause;
pub(super) mod pool_modes;
pub(super) mod queue;
pub(super) mod remove;
pub(super) mod reschedule;
pub(super) mod revive;
pub(super) mod server_check;
pub(super) mod server_facts;
pub(super) mod server_view;
pub(super) mod walk;
