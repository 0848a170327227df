#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Clone)]
struct S;
#[poolder::scheduler(name = "s", jobs(a = "@hourly", missing = "1h"))]
impl S {
    async fn a(&mut self) {}
    async fn extra(&mut self) {}
}
fn main() {}
