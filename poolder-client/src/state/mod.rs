//! What all clones of a client share: the pools that it knows, and the jobs that are waited for.

pub(crate) mod pool_cache;
pub(crate) mod waiters;
