#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
#[derive(Clone, Default)]
struct S;
#[poolder::scheduler(name = "seven", jobs(weekly = "0 0 * * 7/2"))]
impl S {
    async fn weekly(&mut self) {}
}
fn main() {}
