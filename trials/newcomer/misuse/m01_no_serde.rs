#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Job)]
struct A {
    x: u64,
}
fn main() {}
