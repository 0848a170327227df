//! Pools and nodes: readiness, middleware, pools that cannot start, and an orderly stop.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use poolder::Result;
use poolder::prelude::*;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, teller, within};

#[tokio::test]
async fn a_pool_is_ready_once_all_its_slots_are_and_a_failing_init_is_tried_again() {
    #[derive(Clone)]
    struct Slow {
        inits: Arc<AtomicU64>,
        tell: mpsc::Sender<&'static str>,
    }
    impl Worker for Slow {
        type Job = Number;
        async fn handle_init(&mut self) -> Result<()> {
            match self.inits.fetch_add(1, Ordering::SeqCst) {
                0 => Err("the database is not up yet".into()),
                _ => Ok(()),
            }
        }
        async fn handle_pool_ready(&mut self) {
            let _ = self.tell.send("ready").await;
        }
        async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome> {
            self.tell.send("job").await?;
            Ok(Done)
        }
        async fn handle_stop(&mut self) {
            let _ = self.tell.send("stop").await;
        }
    }
    let space = Space::new("ready");
    let (tell, mut told) = mpsc::channel(10);
    let inits = Arc::new(AtomicU64::new(0));
    let worker = Slow { inits: Arc::clone(&inits), tell };
    let node = start(space.node().pool(Pool::new("q").size(3).worker(worker)));
    assert_eq!(within(told.recv()).await, Some("ready"));
    assert_eq!(inits.load(Ordering::SeqCst), 4, "three slots, one of them at the second try");
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await, Some("job"));
    node.stop().await;
    for _ in 0..3 {
        assert_eq!(within(told.recv()).await, Some("stop"));
    }
    assert_eq!(told.recv().await, None);
}

#[tokio::test]
async fn middleware_wraps_every_attempt_the_first_added_outermost() {
    struct Note(&'static str, Arc<Mutex<Vec<String>>>);
    impl Middleware for Note {
        async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
            self.1.lock().unwrap().push(format!("{}>", self.0));
            let outcome = next.run(cx).await;
            self.1.lock().unwrap().push(format!("<{}", self.0));
            outcome
        }
    }
    let space = Space::new("middleware");
    let notes = Arc::new(Mutex::new(vec![]));
    let (worker, mut told) = teller();
    let pool = Pool::new("q")
        .size(1)
        .middleware(Note("a", Arc::clone(&notes)))
        .middleware(Note("b", Arc::clone(&notes)))
        .worker(worker);
    let node = start(space.node().pool(pool));
    space.client.enqueue(Number(1)).await.unwrap();
    within(told.recv()).await.unwrap();
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    assert_eq!(*notes.lock().unwrap(), ["a>", "b>", "<b", "<a"]);
}

#[tokio::test]
async fn a_node_that_cannot_work_as_described_says_why_and_does_not_start() {
    let space = Space::new("plan");
    let worker = || teller().0;
    let two = || Pool::new("q").worker(worker());
    for (node, why) in [
        (space.node(), "has no pool"),
        (space.node().pool(Pool::new("q")), "has no worker"),
        (space.node().pool(two().size(0)), "size 0 is not allowed"),
        (space.node().pool(two().worker(worker())), "has two workers"),
        (space.node().pool(two()).pool(two()), "has two pools"),
        (space.node().pool(Pool::new("a b").worker(worker())), "not allowed"),
    ] {
        let error = node.run_until(std::future::pending()).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(why), "{why}: {error}");
    }
}

#[tokio::test]
async fn a_stop_lets_jobs_finish_and_releases_those_that_do_not() {
    let space = Space::new("stop");
    let (tell, mut told) = mpsc::channel(10);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt(), cx.fence())).await?;
            if job.0 == 1 {
                // The node is told to stop meanwhile, and must not interrupt the job at once.
                tokio::time::sleep(Duration::from_millis(300)).await;
                return Ok::<_, BoxError>(Done);
            }
            cx.cancelled().await;
            Err("I was told to stop".into())
        }
    });
    let node = || {
        space
            .node()
            .pool(Pool::new("q").size(2).worker(worker.clone()))
            .shutdown_timeout(Duration::from_secs(1))
    };
    let first = start(node());
    space.client.enqueue_many([Number(1), Number(2)]).await;
    let mut seen = [within(told.recv()).await.unwrap(), within(told.recv()).await.unwrap()];
    seen.sort_unstable();
    assert_eq!(seen, [(1, 1, 1), (2, 1, 1)]);
    first.stop().await;
    assert_eq!(space.count("q", "completed").await, 1, "the job that can finish in time does");
    assert_eq!(space.count("q", "handed_back").await, 1);
    let front = space.key("q", "ready:front");
    assert_eq!(space.redis::<u64>(redis::cmd("XLEN").arg(&front)).await, 1, "back in front");
    // The node has left nothing in the roster.
    let nodes = format!("{}:{{roster}}:nodes", space.name());
    assert_eq!(space.redis::<u64>(redis::cmd("ZCARD").arg(nodes)).await, 0);

    let second = start(node());
    assert_eq!(within(told.recv()).await.unwrap(), (2, 1, 2), "no attempt was counted");
    second.stop().await;
}

/// Slots whose handlers end at once take the next job without a wake-up. Jobs that wait must still
/// run side by side.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_that_wait_run_side_by_side_however_quick_those_before_them_were() {
    #[derive(Clone)]
    struct Meeting(Arc<tokio::sync::Barrier>, mpsc::Sender<u64>);
    impl Worker for Meeting {
        type Job = Number;
        async fn handle_job(&mut self, Number(n): Number, _: Context) -> Result<Outcome> {
            // Ten quick jobs, then eight that wait for each other, three times.
            if n % 18 >= 10 {
                self.0.wait().await;
            }
            self.1.send(n).await?;
            Ok(Done)
        }
    }
    let space = Space::new("meeting");
    for result in space.client.enqueue_many((0..54).map(Number)).await {
        result.unwrap();
    }
    let (tell, mut told) = mpsc::channel(100);
    let worker = Meeting(Arc::new(tokio::sync::Barrier::new(8)), tell);
    let node = start(space.node().pool(Pool::new("q").size(8).worker(worker)));
    let mut ran = vec![];
    for _ in 0..54 {
        ran.extend(within(told.recv()).await);
    }
    ran.sort_unstable();
    assert_eq!(ran, (0..54).collect::<Vec<_>>());
    space.until_count("q", "completed", 54).await;
    node.stop().await;
}
