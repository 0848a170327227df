//! State that all clones of a client share: cached pools, the jobs that callers wait for, counts of
//! enqueues, the middleware that each job passes, the registration of queues, the server's clock, and
//! who acts.

pub(crate) mod audit;
pub(crate) mod enqueue_counts;
pub(crate) mod enqueue_middleware;
pub(crate) mod pool_cache;
pub(crate) mod registration;
pub(crate) mod round_trip_metrics;
pub(crate) mod send_span;
pub(crate) mod server_clock;
pub(crate) mod wait;
pub(crate) mod waiters;
