#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Serialize, Deserialize, Job)]
struct A {
    x: u64,
}
struct App {
    n: u64,
}
fn f(app: std::sync::Arc<App>) -> Pool {
    Pool::new("a").worker(worker_fn(move |_: A, _: Context| async move {
        println!("{}", app.n);
        Ok(Done)
    }))
}
fn main() {}
