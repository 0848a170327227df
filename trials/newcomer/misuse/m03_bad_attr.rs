#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
#[job(kind = "has space", retries = 3, timeout = 30, backoff = "1 fortnight")]
struct A {
    x: u64,
}
fn main() {}
