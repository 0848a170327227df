//! Attributes of `#[batcher]` that are not allowed.

use poolder_macros::batcher;

struct Rows1;
struct Rows2;
struct Rows3;
struct Rows4;
struct Rows5;
struct Rows6;
struct Rows7;
struct Rows8;
struct Rows9;
struct Rows10;
struct Rows11;
struct Rows12;
struct Rows13;

trait BatchWorker {
    type Entry;
    fn handle_batch(&mut self) {}
}

#[batcher(limit = 5)]
impl BatchWorker for Rows1 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a:b")]
impl BatchWorker for Rows2 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", limit = 0)]
impl BatchWorker for Rows3 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", limit = 1_000_001, max_bytes = 0, max_groups = "3", size = 0)]
impl BatchWorker for Rows4 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", timeout = "10s", hibernate_after = "10s")]
impl BatchWorker for Rows5 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", hibernate_after = "5s")]
impl BatchWorker for Rows6 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", timeout = "0s", hibernate_after = 0)]
impl BatchWorker for Rows7 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", timeout = "infinity", hibernate_after = "never")]
impl BatchWorker for Rows8 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", lifo = "yes", reverse = true)]
impl BatchWorker for Rows9 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", policy(attempts = -1, backoff = "often", jitter = true), policy(attempts = 2))]
impl BatchWorker for Rows10 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", policy = 3, retry(count = 3))]
impl BatchWorker for Rows11 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", name = "b", size 2, callback = f)]
impl BatchWorker for Rows12 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

#[batcher(name = "a", limit = 0, timeout = "none", hibernate_after = "1s")]
impl BatchWorker for Rows13 {
    type Entry = u64;
    fn handle_batch(&mut self) {}
}

fn main() {}
