#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
enum A {
    #[job(kind = "same")]
    X,
    #[job(kind = "same")]
    Y,
}
fn main() {}
