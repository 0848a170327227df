//! The suite: what Poolder promises, against a real server. Every test has a namespace of its own
//! and all run in parallel; those that stop, flush or reconfigure a server start their own.

mod batches;
mod blocking;
mod cancel;
mod child;
mod crashes;
mod durability;
mod enqueue;
mod fates;
mod harness;
mod hostile;
mod inspect;
mod lanes;
mod machine;
mod outages;
mod pause;
mod plain;
mod pools;
mod results;
mod schedulers;
mod schedules;
mod ticks;
#[cfg(feature = "tls")]
mod tls;
mod topologies;
