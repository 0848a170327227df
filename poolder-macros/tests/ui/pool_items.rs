//! What `#[pool]` cannot stand on, and what must not be missing from it.

use poolder_macros::pool;

#[pool(name = "mypool")]
struct MyPool;

struct MyPool1;
struct MyPool2;
struct MyPool3;

trait Worker {
    const CALLBACKS: &'static [&'static str] = &[];
}

#[pool(name = "mypool")]
impl MyPool1 {}

#[pool(name = "mypool")]
impl Default for MyPool {
    fn default() -> Self {
        MyPool
    }
}

#[pool(name = "mypool", callbacks(event))]
impl Worker for MyPool2 {
    const CALLBACKS: &'static [&'static str] = &[];
}

#[pool]
impl Worker for MyPool3 {}

fn main() {}
