//! Bounded concurrency inside one process, without Redis: a Tasker. Use a job instead for work that
//! must survive a crash, be retried, or run on another host.
//!
//! Run it with `cargo run --example tasker`.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{ExecutionError, Result, WhenFull};

#[tokio::main]
async fn main() -> Result<()> {
    let tasker =
        Tasker::builder("mytasker").limit(2).hibernate_after(Duration::from_secs(60)).build()?;

    // A hundred futures, two at a time. The results are in the order of the `execute` calls.
    let mut executions = vec![];
    for i in 1..=100_u32 {
        executions.push(tasker.execute(async move { i * i }).await?);
    }
    let results = tasker.await_all(executions, Duration::from_secs(10)).await;
    let sum: u32 = results.iter().flatten().sum();
    println!("the squares of 1 to 100 add up to {sum}");
    assert_eq!(sum, 338_350);

    // A closure that blocks its thread counts against the same limit.
    let length = tasker.execute_blocking(|| std::fs::read("Cargo.toml").map(|it| it.len())).await?;
    println!("Cargo.toml has {:?} bytes", length.await?.ok());

    // A panic becomes the error of its execution. The tasker and other executions go on.
    let broken = tasker.execute(async { panic!("no good") }).await?;
    let broken: Result<(), ExecutionError> = broken.await;
    println!("{}", broken.unwrap_err());

    // The callback gets the result when the future has ended; the caller need not wait for it.
    let told =
        tasker.callback(async { 6 * 7 }, |result| println!("called back: {result:?}")).await?;
    told.await?;

    // A full queue can refuse an execution instead of letting the caller wait.
    let small =
        Tasker::builder("small").limit(1).queue_capacity(1).when_full(WhenFull::Reject).build()?;
    let (start, started) = tokio::sync::oneshot::channel();
    let endless = async {
        let _ = start.send(());
        std::future::pending::<()>().await;
    };
    let running = small.execute(endless).await?;
    started.await?;
    let _waiting = small.execute(async {}).await?;
    match small.execute(async {}).await {
        Err(error) if error.is_refused() => println!("refused: {error}"),
        other => panic!("{other:?}"),
    }
    running.cancel();

    let clean =
        small.stop(Duration::from_secs(1)).await & tasker.stop(Duration::from_secs(1)).await;
    println!("stopped cleanly: {clean}");
    Ok(())
}
