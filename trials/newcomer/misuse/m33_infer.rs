#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
fn f() -> Pool {
    Pool::new("a").worker(worker_fn(|a, _| async move { Ok(Done) }))
}
fn g() -> Pool {
    Pool::new("a").worker(worker_fn(|_: A, _: Context| async move {
        std::fs::read("x")?;
        Ok(Done)
    }))
}
fn main() {}
