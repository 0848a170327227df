#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Clone)]
struct S;
#[poolder::scheduler(
    name = "s",
    jobs(a = "61 * * * *", b = "0 0 L * *", c = "5 minutes", missing = "1h"),
    zone = "Europe/Berln"
)]
impl S {
    async fn a(&mut self) {}
    async fn b(&mut self) {}
    async fn c(&mut self) {}
}
fn main() {}
