#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Clone)]
struct S;
#[poolder::scheduler(name = "s", jobs(a = "@hourly", b = "1h"))]
impl S {
    async fn a(&mut self, n: u64) {}
    fn b(&mut self) {}
}
fn main() {}
