#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
fn e() -> eyre::Result<()> {
    Ok(())
}
fn an() -> anyhow::Result<()> {
    Ok(())
}
async fn h(_: A, _: Context) -> Result<Outcome> {
    an()?;
    e()?;
    Ok(Done)
}
fn f() -> Pool {
    Pool::new("a").worker(worker_fn(h))
}
fn main() {}
