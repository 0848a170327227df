#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
#[serde(tag = "type")]
enum A {
    X { a: u64 },
    Y,
}
fn main() {}
