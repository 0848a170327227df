#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[poolder::batcher(name = "b")]
#[derive(Clone)]
struct B;
fn f(c: Client) {
    let _ = Node::builder(c).add(B);
}
fn main() {}
