//! The suite: what Poolder promises, against a real server. Every test has a namespace of its own
//! and all run in parallel; those that stop, flush or reconfigure a server start their own.

mod access;
mod addressed;
mod batches;
mod blocking;
mod broadcast;
mod callbacks;
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
mod ordering;
mod outages;
mod pause;
mod plain;
mod pools;
mod resize;
mod results;
mod rubbish;
mod schedulers;
mod schedules;
mod stretches;
mod ticks;
#[cfg(feature = "tls")]
mod tls;
mod topologies;
