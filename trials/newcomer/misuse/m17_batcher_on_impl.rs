#![allow(dead_code, unused_imports)]
use poolder::prelude::*;
use serde::{Deserialize, Serialize};
#[derive(Clone)]
struct B;
#[poolder::batcher(name = "b", limit = 0, timeout = "1w")]
impl BatchWorker for B {
    type Entry = u64;
    async fn handle_batch(&mut self, _b: &mut Batch<u64>, _cx: Context) -> Result<Outcome> {
        Ok(Done)
    }
}
fn main() {}
