#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
#[derive(Clone)]
struct S;
#[poolder::scheduler(name = "s", jobs(a = "@hourly"))]
impl S {
    async fn a(&mut self, n: u64) {
        let _ = n;
    }
}
fn main() {}
