//! Cases from public bug reports, each in a namespace of its own on the private server of the
//! process. A case prints `CASE PASS name: …` or `CASE FAIL name: …`, which `cargo xtask trials`
//! compares with the ledger; a line that begins with `NOTE` has no right value.

mod batches;
mod bombs;
mod calls;
mod cancels;
mod claims;
mod clients;
mod dead;
mod hangs;
mod harness;
mod locks;
mod names;
mod nodes;
mod panics;
mod pauses;
mod payloads;
mod round_trip;
mod schedules;
mod shapes;
mod times;
mod waits;
