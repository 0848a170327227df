//! The same mistakes in the three attributes: they have one grammar.

use poolder_macros::{Job, batcher, pool, scheduler};

struct A1;
struct A2;
struct A3;
struct A4;
struct A5;
struct A6;
struct A7;
struct A8;
struct A9;

trait Worker {
    type Job;
    fn handle_job(&mut self) {}
}

trait BatchWorker {
    type Entry;
    fn handle_batch(&mut self) {}
}

#[pool(nmae = "a", sise = 3, moed = "phash", colour = "red")]
impl Worker for A1 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[batcher(name = "a", qeue = "b", sise = 3, hibernate_afer = "10m", colour = "red")]
impl BatchWorker for A2 {
    type Entry = ();
    fn handle_batch(&mut self) {}
}

#[scheduler(name = "a", qeue = "b", zoen = "UTC", job(a = "1h"), jobs(a = "1h"))]
impl A3 {
    async fn a() {}
}

#[pool(name = "a", size(3), policy = "1s", callbacks = event, queue = "b", timeout = "1s")]
impl Worker for A4 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[batcher(name = "a", size(3), policy(attempt = 5, count = 5, retries = 5), attempts = 5)]
impl BatchWorker for A5 {
    type Entry = ();
    fn handle_batch(&mut self) {}
}

#[scheduler(name = "a", size(3), timeout = "1s", attempts = 5, jobs = "1h", policy())]
impl A6 {
    async fn a() {}
}

const NAME: &str = "a";

#[pool(name = NAME, size = 3u16, mode = "roundrobin", policy(timeout = "5 minutes", crashes = 1))]
impl Worker for A7 {
    type Job = ();
    fn handle_job(&mut self) {}
}

#[batcher(name = concat!("a", "b"), size = 3 + 1, policy(timeout = "0s", retry_for = "never"))]
impl BatchWorker for A8 {
    type Entry = ();
    fn handle_batch(&mut self) {}
}

#[scheduler(name = A, size = -1, jobs(a = "1h"), policy(timeout = "1.5h", attempts = 0), lane = "hihg")]
impl A9 {
    async fn a() {}
}

#[derive(Job)]
#[job(policy(attempts = 5), atempts = 5)]
struct NotAComponent;

fn main() {}
