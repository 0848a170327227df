#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
struct W {
    f: std::fs::File,
}
impl Worker for W {
    type Job = A;
    async fn handle_job(&mut self, _: A, _cx: Context) -> Result<Outcome> {
        Ok(Done)
    }
}
fn main() {}
