//! The suite checks the promises of Poolder against a real server. Every test has its own
//! namespace, and all tests run in parallel. Tests that stop, flush or reconfigure a server start
//! their own.

mod access;
mod addressed;
mod batches;
mod blocking;
mod broadcast;
mod callbacks;
mod cancel;
mod child;
mod claimed_ranges;
mod connections;
mod context;
mod crashes;
mod durability;
mod enqueue;
mod fates;
mod full_server;
mod guards;
mod harness;
mod headers;
mod hostile;
mod identity;
mod inspect;
mod key_storm;
mod lanes;
mod large;
mod late_jobs;
mod leases;
mod losses;
mod machine;
mod options;
mod ordering;
mod outages;
mod pause;
mod plain;
mod poisoned;
mod policies;
mod pools;
mod resize;
mod results;
mod rubbish;
mod schedulers;
mod schedules;
mod script_faults;
mod scripts;
mod settlements;
mod stops;
mod suspects;
mod testing;
mod ticks;
#[cfg(feature = "tls")]
mod tls;
mod topologies;
mod waits;
mod wire;
