//! A worker that cannot be cloned, and one whose method has other arguments.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

struct NotClone;

impl Worker for NotClone {
    type Job = Welcome;

    async fn handle_job(&mut self, _job: Welcome, _cx: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

#[derive(Clone)]
struct NoContext;

impl Worker for NoContext {
    type Job = Welcome;

    async fn handle_job(&mut self, _job: Welcome) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

#[derive(Clone)]
struct NotAJob;

impl Worker for NotAJob {
    type Job = String;

    async fn handle_job(&mut self, _job: String, _cx: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

fn main() {}
