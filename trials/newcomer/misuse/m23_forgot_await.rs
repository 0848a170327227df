#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
async fn f(c: Client) {
    c.enqueue(A { x: 1 });
}
fn main() {}
