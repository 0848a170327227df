//! Limited queues: how many jobs of a queue, and of each group of jobs, run at a time, and how many
//! start in a time.
//!
//! The jobs that wait do so in their groups. A claim admits jobs of groups that may start one, in
//! turn, to the front lane, and claims them in the same step, so that a permit is taken for a caller
//! only, and given back by the step that removes the entry.

pub(super) mod admit;
pub(super) mod counts;
pub(super) mod define;
pub(super) mod facts;
pub(super) mod group;
pub(super) mod on_time;
pub(super) mod own;
pub(super) mod pages;
pub(super) mod rate;
pub(super) mod repair;
pub(super) mod sort;
