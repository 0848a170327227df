//! The prelude beside the names of error libraries: those that users import one by one, and those
//! that both offer to a glob.

use poolder::prelude::*;
use poolder::testing::TestQueue;
use tokio::sync::mpsc;

use super::Tell;
use crate::harness::{Number, Space, start, within};

/// The imports of most programs with anyhow.
mod one_by_one {
    use anyhow::{Context, Result};
    use poolder::prelude::*;

    use super::{Number, Tell};

    pub(super) async fn handler(
        State(tell): State<Tell>,
        job: Number,
        cx: poolder::Context,
    ) -> Result<()> {
        tell.say(format!("attempt {}", cx.attempt())).await;
        let text = if job.0 == 1 { "not a number" } else { "7" };
        let _: u64 = text.parse().context("the letter has no number")?;
        Ok(())
    }
}

/// Two globs, in which `Context` means nothing, as both have one.
mod globs {
    use anyhow::*;
    use poolder::prelude::*;
    use serde::{Deserialize, Serialize};

    use super::{Number, Tell};

    pub(super) async fn handler(
        _: State<Tell>,
        job: Number,
        _: poolder::Context,
    ) -> Result<Outcome> {
        ensure!(job.0 == 7, "{} is not the number", job.0);
        Ok(Done)
    }

    /// The macros name nothing of their surroundings, where `Ok` is a function of anyhow.
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "foreign", queue = "foreign", attempts = 2)]
    pub(super) enum Foreign {
        One { number: u64 },
        Two,
    }

    fn bad() -> Result<()> {
        bail!("of anyhow")
    }

    #[derive(Clone)]
    pub(super) struct ForeignPool;

    #[poolder::pool(name = "foreign", size = 1)]
    impl Worker for ForeignPool {
        type Job = Foreign;

        async fn handle_job(
            &mut self,
            job: Foreign,
            _cx: poolder::Context,
        ) -> poolder::Result<Outcome> {
            match job {
                Foreign::One { number } => Result::Ok(Outcome::result(&number)?),
                Foreign::Two => {
                    bad()?;
                    Result::Ok(Done)
                }
            }
        }
    }

    #[derive(Clone)]
    pub(super) struct ForeignJobs;

    #[poolder::scheduler(name = "foreign-jobs", jobs(sweep = "1h"))]
    impl ForeignJobs {
        async fn sweep(&mut self) -> Result<()> {
            Ok(())
        }
    }

    #[derive(Clone)]
    pub(super) struct ForeignRows;

    #[poolder::batcher(name = "foreign-rows", limit = 2)]
    impl BatchWorker for ForeignRows {
        type Entry = u64;

        async fn handle_batch(
            &mut self,
            batch: &mut Batch<u64>,
            _cx: poolder::Context,
        ) -> poolder::Result<Outcome> {
            batch.all().await?;
            Result::Ok(Done)
        }
    }
}

async fn with_eyre(_: State<Tell>, job: Number) -> eyre::Result<()> {
    eyre::ensure!(job.0 == 7, "{} is not the number", job.0);
    Ok(())
}

/// Runs job 1 once and returns the reason of its death.
async fn death(worker: impl Worker, tell: mpsc::Sender<String>) -> String {
    let queue = TestQueue::new();
    let node = queue.node().state(Tell(tell)).pool(Pool::new("q").worker(worker));
    let node = queue.start_node(node).await;
    let run = node.perform(Number(1)).policy(Policy::default().attempts(1)).await;
    assert!(run.is_dead());
    run.failure().unwrap().to_string()
}

#[tokio::test]
async fn handlers_fail_with_the_errors_of_anyhow_and_eyre() {
    let (tell, mut told) = mpsc::channel(10);
    let reason = death(worker_fn(one_by_one::handler), tell.clone()).await;
    assert_eq!(reason, "error: the letter has no number: invalid digit found in string");
    assert_eq!(within(told.recv()).await.unwrap(), "attempt 1");
    let reason = death(worker_fn(globs::handler), tell.clone()).await;
    assert!(reason.starts_with("error: 1 is not the number"), "{reason}");
    let reason = death(worker_fn(with_eyre), tell).await;
    assert!(reason.starts_with("error: 1 is not the number"), "{reason}");
}

#[tokio::test]
async fn macros_work_where_other_names_are_in_scope() {
    let space = Space::new("foreign");
    let node = space.node().add(globs::ForeignPool).add(globs::ForeignJobs).add(globs::ForeignRows);
    let node = start(node);
    let one = space.client.call::<_, u64>(globs::Foreign::One { number: 7 });
    assert_eq!(within(one.into_future()).await.unwrap(), 7);
    let two = space.client.call::<_, u64>(globs::Foreign::Two);
    let error = within(two.policy(Policy::default().attempts(1)).into_future()).await.unwrap_err();
    assert!(error.to_string().contains("of anyhow"), "{error}");
    node.stop().await;
}
