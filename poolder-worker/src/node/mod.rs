//! The layer that puts a node together: describes it, starts and stops its pools and services, and
//! changes its pools while it runs. Imports all layers below.

pub(crate) mod builder;
pub(crate) mod handle;
pub(crate) mod pools;
mod running;
