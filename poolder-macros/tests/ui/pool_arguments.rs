//! Arguments of `#[pool]` that are not allowed.

use poolder_macros::pool;

struct MyPool;

trait Worker {
    type Job;
    fn handle_job(&mut self) {}
}

#[pool(size = 0, mode = "robin", retry(count = 0, backoff = "1 hour"), hibernate_after = "soon")]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "my pool", name = "other", size = 10_001, kind = 1)]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", pool_size = 3, retry = 5, callbacks = [event], mode = Phash)]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", retry(attempts = 5, count = -1), retry(count = 5), jobs(a))]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "phash", callbacks(event, push = 7, event, "cast"), retry_placement = "wait")]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "broadcast", retry_placement = "block_slot", handover_timeout = "1s", join_set = "a:b")]
impl Worker for MyPool {
    type Job = ();
    fn handle_job(&mut self) {}
}

fn main() {}
