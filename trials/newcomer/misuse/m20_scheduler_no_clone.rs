#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
struct S;
#[poolder::scheduler(name = "s", jobs(a = "@hourly"))]
impl S {
    async fn a(&mut self) {}
}
fn main() {}
