//! Attributes that are unknown, misplaced, repeated or not well formed.

use poolder_macros::Job;

#[derive(Job)]
#[job(qeue = "mail", Attempts = 5)]
struct Unknown;

#[derive(Job)]
#[job(attempts = 5, attempts = 6)]
#[job(kind = "a")]
#[job(kind = "b")]
struct Twice;

#[derive(Job)]
#[job]
#[job = "a"]
struct NoList;

#[derive(Job)]
#[job(kind, queue =, attempts(5), "x", timeout = "1s" crashes = 3, version = +)]
struct Malformed;

#[derive(Job)]
struct OnAField {
    #[job(kind = "a")]
    user: u64,
}

#[derive(Job)]
#[job(kind = "media")]
enum OnVariants {
    #[job(queue = "fast", version = 2, crate = "a")]
    BelongsOnTheEnum,
    #[job(retries = 5)]
    Unknown,
    #[job(kind = "a", kind = "b")]
    Twice,
    OnAField(#[job(kind = "c")] u64),
}

fn main() {}
