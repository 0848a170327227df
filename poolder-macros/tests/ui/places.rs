//! The attributes stand on the `impl` block that has the handlers.

use poolder_macros::{batcher, pool, scheduler};

#[pool(name = "a")]
struct OnStruct;

#[batcher(name = "a")]
struct BatcherOnStruct;

#[scheduler(name = "a", jobs(a = "1h"))]
struct SchedulerOnStruct;

#[pool(name = "a")]
async fn on_function() {}

#[batcher(name = "a")]
enum OnEnum {
    A,
}

trait Worker {}

trait BatchWorker {}

#[pool(name = "a")]
impl BatchWorker for OnStruct {}

#[batcher(name = "a")]
impl Worker for OnStruct {}

#[scheduler(name = "a", jobs(a = "1h"))]
impl Worker for BatcherOnStruct {}

#[batcher(name = "a")]
impl SchedulerOnStruct {}

#[batcher(name = "a")]
impl BatchWorker for BatcherOnStruct {}

struct Borrows<'a>(&'a str);

#[pool(name = "a")]
impl<'a> Worker for Borrows<'a> {}

#[batcher(name = "a")]
impl<'a> BatchWorker for Borrows<'a> {}

#[scheduler(name = "a", jobs(a = "1h"))]
impl<'a> Borrows<'a> {
    async fn a(&mut self) {}
}

fn main() {}
