//! What `#[pool]` cannot stand on, and what must not be missing from it.

use poolder_macros::pool;

#[pool(name = "mypool")]
struct MyPool;

trait Worker {}

#[pool(name = "mypool")]
impl MyPool {}

#[pool(name = "mypool")]
impl Default for MyPool {
    fn default() -> Self {
        MyPool
    }
}

#[pool(name = "mypool", callbacks(event))]
impl Worker for MyPool {
    const CALLBACKS: &'static [&'static str] = &[];
}

#[pool]
impl Worker for MyPool {}

fn main() {}
