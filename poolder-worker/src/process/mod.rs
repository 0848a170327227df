//! The lowest layer: the state of this process, which every part of a node reads. Imports nothing
//! else of this crate.

pub(crate) mod activity;
pub(crate) mod commands;
pub(crate) mod deploy;
pub(crate) mod finished;
pub(crate) mod journal;
pub(crate) mod limits;
pub(crate) mod liveness;
pub(crate) mod losses;
pub(crate) mod meter;
pub(crate) mod outages;
pub(crate) mod poll_limit;
pub(crate) mod progress;
pub(crate) mod watching;
