//! A batch worker that is given a job, and entries that cannot be stored.

use poolder::prelude::*;
use serde::{Deserialize, Serialize};

#[derive(Serialize, Deserialize, Job)]
struct Welcome {
    user: u64,
}

#[derive(Clone)]
struct OneJob;

impl BatchWorker for OneJob {
    type Entry = Welcome;

    async fn handle_batch(&mut self, _job: Welcome, _cx: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

struct Row;

#[derive(Clone)]
struct Rows;

impl BatchWorker for Rows {
    type Entry = Row;

    async fn handle_batch(
        &mut self,
        _rows: &mut Batch<Row>,
        _cx: Context,
    ) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

fn main() {}
