#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
fn f() -> Pool {
    Pool::new("a").worker(worker_fn(|a: A, _: Context| -> Result<Outcome> {
        println!("{}", a.x);
        Ok(Done)
    }))
}
fn main() {}
