//! Handlers that block their thread without announcing it: other jobs start all the same.

use poolder::prelude::*;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_slots_run_at_once_though_each_blocks_its_thread() {
    let space = Space::new("blocking");
    let (tell, mut told) = mpsc::channel(16);
    let (go, gone) = std::sync::mpsc::channel::<()>();
    let gone = std::sync::Arc::new(std::sync::Mutex::new(gone));
    let worker = worker_fn(move |job: Number, _: Context| {
        let (tell, gone) = (tell.clone(), gone.clone());
        async move {
            tell.send(job.0).await?;
            // Each handler blocks its thread until it receives a message.
            tokio::task::block_in_place(|| gone.lock().unwrap().recv())?;
            Ok::<_, BoxError>(Done)
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(8).worker(worker)));
    space.client.enqueue_many((0..8).map(Number)).await;
    for _ in 0..8 {
        within(told.recv()).await.unwrap();
    }
    for _ in 0..8 {
        go.send(()).unwrap();
    }
    space.until_count("q", "completed", 8).await;
    node.stop().await;
}
