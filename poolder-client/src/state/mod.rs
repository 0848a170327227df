//! State that all clones of a client share: cached pools, and the jobs that callers wait for.

pub(crate) mod pool_cache;
pub(crate) mod wait;
pub(crate) mod waiters;
