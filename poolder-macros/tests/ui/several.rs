//! All mistakes of a type are reported at once.

use poolder_macros::Job;
use serde::Serialize;

#[derive(Serialize, Job)]
#[job(kind = "a b", queue = "c d", version = 0, attempts = 0, crashes = 0, colour = "red")]
#[job(backoff = never, timeout = 0, retry_for = "x")]
#[serde(tag = "type")]
enum Wrong<'a> {
    #[job(kind = "e f", attempts = 0, timeout = "1 parsec", queue = "q")]
    #[serde(skip)]
    A(#[job] &'a str),
}

fn main() {}
