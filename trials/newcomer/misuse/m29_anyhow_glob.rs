#![allow(dead_code, unused_imports)]
use anyhow::{Context, Result};
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
async fn h(_: A, _cx: Context) -> Result<Outcome> {
    Ok(Done)
}
fn f() -> Pool {
    Pool::new("a").worker(worker_fn(h))
}
fn main() {}
