//! Arguments of `#[pool]` that are not allowed.

use poolder_macros::pool;

struct MyPool1;
struct MyPool2;
struct MyPool3;
struct MyPool4;
struct MyPool5;
struct MyPool6;

trait Worker {
    type Job;
    fn handle_job(&mut self) {}
}

#[pool(size = 0, mode = "robin", policy(attempts = 0, backoff = "1 hour"), hibernate_after = "soon")]
impl Worker for MyPool1 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "my pool", name = "other", size = 10_001, kind = 1)]
impl Worker for MyPool2 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", pool_size = 3, policy = 5, callbacks = [event], mode = Phash)]
impl Worker for MyPool3 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", policy(attempts = 5, count = -1), policy(attempts = 5), jobs(a))]
impl Worker for MyPool4 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "phash", callbacks(event, push = 7, event, "cast"), retry_placement = "wait")]
impl Worker for MyPool5 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "broadcast", retry_placement = "block_slot", handover_timeout = "1s", join_set = "a:b")]
impl Worker for MyPool6 {
    type Job = ();
    fn handle_job(&mut self) {}
}

struct MyPool7;
struct MyPool8;

#[pool(name = "mypool", wait_permits = 0)]
impl Worker for MyPool7 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "broadcast", wait_permits = 4)]
impl Worker for MyPool8 {
    type Job = ();
    fn handle_job(&mut self) {}
}

struct MyPool9;
struct MyPool10;
struct MyPool11;

#[pool(name = "mypool", keep_finished(count = 0, age = "0s", size = 1))]
impl Worker for MyPool9 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", keep_finished(count = 1000))]
impl Worker for MyPool10 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[pool(name = "mypool", mode = "broadcast", keep_finished(count = 1, age = "1d"))]
impl Worker for MyPool11 {
    type Job = ();
    fn handle_job(&mut self) {}
}

fn main() {}
