#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
#[job(crashes = 1, attempts = 0, version = 0, queue = "")]
struct A {
    x: u64,
}
fn main() {}
