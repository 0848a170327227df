#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[poolder::batcher(name = "b", size = 3, sise = 3)]
#[derive(Clone)]
struct B;
fn main() {}
