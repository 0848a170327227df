//! Numbers that are not allowed.

use poolder_macros::Job;

#[derive(Job)]
#[job(attempts = 0, crashes = 1, version = 0)]
struct TooSmall;

#[derive(Job)]
#[job(attempts = 4294967296, crashes = 4294967296, version = 65536)]
struct TooLarge;

#[derive(Job)]
#[job(attempts = -1, crashes = "3", version = 2.0)]
struct OtherLiterals;

const ATTEMPTS: u32 = 5;

#[derive(Job)]
#[job(attempts = ATTEMPTS, crashes = 3u32, version = 1 + 1)]
struct NoLiterals;

fn main() {}
