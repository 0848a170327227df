//! A type that serde cannot store. The last errors are ours, those before are the compiler's.

use poolder_macros::Job;

#[derive(Job)]
#[job(crate = "poolder_core")]
struct Neither {
    user: u64,
}

#[derive(serde::Serialize, Job)]
#[job(crate = "poolder_core")]
enum OnlyWritten {
    A { user: u64 },
}

fn main() {}
