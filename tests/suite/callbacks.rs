//! The callbacks of a worker, and what its outcomes do besides ending the job.

use std::future::IntoFuture;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{BoxError, Failure, Result};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, teller, within};

/// A worker that records every callback, and whose outcome depends on the number of the job.
#[derive(Clone)]
struct Recorder {
    tell: mpsc::Sender<String>,
    state: u64,
    inits: Arc<AtomicUsize>,
    /// The number of times that `handle_init` fails before it succeeds.
    broken: usize,
}

fn recorder() -> (Recorder, mpsc::Receiver<String>) {
    let (tell, told) = mpsc::channel(1_000);
    (Recorder { tell, state: 0, inits: Arc::default(), broken: 0 }, told)
}

impl Worker for Recorder {
    type Job = Number;

    async fn handle_init(&mut self) -> Result<()> {
        if self.inits.fetch_add(1, Ordering::SeqCst) < self.broken {
            return Err("not yet".into());
        }
        self.tell.send("init".into()).await?;
        Ok(())
    }

    async fn handle_pool_ready(&mut self) {
        let _ = self.tell.send("ready".into()).await;
    }

    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.tell.send(format!("job {} {} {}", job.0, cx.attempt(), self.state)).await?;
        match job.0 {
            1 => Ok(Outcome::callback("push", &("lobby", "Hello!"))?.and_callback("event", &7_u64)?),
            2 => Ok(Outcome::callback("absent", &())?),
            3 => Ok(StopSlot),
            4 => Ok(StopPool),
            5 => Err("always".into()),
            _ => Ok(Done),
        }
    }

    async fn handle_call(&mut self, job: Number, _: Context) -> Result<Outcome> {
        self.state += 1;
        Ok(Outcome::result(&(job.0 * 2, self.state))?)
    }

    async fn handle_error(&mut self, _: Number, cx: Context, error: &BoxError) -> Verdict {
        let _ = self.tell.send(format!("error {}", cx.attempt())).await;
        if error.downcast_ref::<Failure>().is_some() {
            return Verdict::Halt;
        }
        match cx.attempt() {
            1 => {
                self.state = 5;
                Verdict::RetryNow
            }
            2 => Verdict::Backoff(Duration::from_millis(10)),
            4 => Verdict::Policy,
            _ => Verdict::RetryNow,
        }
    }

    async fn handle_hibernate(&mut self) {
        let _ = self.tell.send(format!("hibernate {}", self.state)).await;
    }

    async fn handle_stop(&mut self) {
        let _ = self.tell.send("stop".into()).await;
    }
}

async fn told(told: &mut mpsc::Receiver<String>) -> String {
    within(told.recv()).await.expect("the worker is there")
}

#[tokio::test(flavor = "multi_thread")]
async fn callbacks_run_before_the_job_is_settled_and_their_failure_is_the_attempts() {
    let space = Space::new("callbacks");
    let (worker, mut recorder) = recorder();
    let (tell, mut pushed) = mpsc::channel(16);
    let (client, fails) = (space.client.clone(), Arc::new(AtomicU64::new(1)));
    let key = space.key("q", "ready:normal");
    let url = space.url().to_owned();
    let pool = Pool::new("q")
        .size(1)
        .policy(Policy::default().backoff(Backoff::Fixed(Duration::from_millis(10))))
        .worker(worker)
        .callback("push", {
            let tell = tell.clone();
            move |(channel, text): (String, String)| {
                let (tell, key, url) = (tell.clone(), key.clone(), url.clone());
                async move {
                    // The job still exists while its callbacks run.
                    let redis = redis::Client::open(url)?;
                    let mut connection = redis.get_multiplexed_async_connection().await?;
                    let here: u64 =
                        redis::cmd("XLEN").arg(key).query_async(&mut connection).await?;
                    tell.send(format!("{channel} {text} {here}")).await?;
                    Ok(())
                }
            }
        })
        .callback("event", move |number: u64| {
            let (tell, fails) = (tell.clone(), Arc::clone(&fails));
            async move {
                if fails
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |n| n.checked_sub(1))
                    .is_ok()
                {
                    return Err("the bus is down".into());
                }
                tell.send(format!("event {number}")).await?;
                Ok(())
            }
        });
    client.enqueue(Number(1)).await.unwrap();
    let node = start(space.node().pool(pool));
    let mut expected = ["init", "ready", "job 1 1 0", "error 1"].into_iter();
    for line in expected.by_ref() {
        assert_eq!(told(&mut recorder).await, line);
    }
    assert_eq!(within(pushed.recv()).await.unwrap(), "lobby Hello! 1");
    // A failed callback is a `Failure`, for which this worker answers with `Halt`.
    space.until_count("q", "buried", 1).await;
    assert!(space.dead("q").await[0].contains("callback \"event\" failed: the bus is down"));
    client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(pushed.recv()).await.unwrap(), "lobby Hello! 1");
    assert_eq!(within(pushed.recv()).await.unwrap(), "event 7");
    space.until_count("q", "completed", 1).await;
    client.enqueue(Number(2)).await.unwrap();
    space.until_count("q", "buried", 2).await;
    let unknown = "Pool::callback(\"absent\", …); it has [\"event\", \"push\"]";
    assert!(space.dead("q").await.iter().any(|dead| dead.contains(unknown)));
    node.stop().await;
}

/// A worker that declares the callbacks it uses.
#[derive(Clone)]
struct Declares;

impl Worker for Declares {
    type Job = Number;
    const CALLBACKS: &'static [&'static str] = &["event"];

    async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome> {
        Ok(Done)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_declared_callback_that_is_not_registered_keeps_the_node_from_starting() {
    let space = Space::new("undeclared");
    let node = space.node().pool(Pool::new("q").worker(Declares));
    let error = within(node.run_until(std::future::pending())).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("no callback \"event\""), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn retry_of_five_is_five_attempts_and_the_state_is_kept() {
    let space = Space::new("five");
    let (worker, mut recorder) = recorder();
    let policy = Policy::default().attempts(5).backoff(Backoff::Fixed(Duration::from_millis(10)));
    let node = start(space.node().pool(Pool::new("q").size(1).policy(policy).worker(worker)));
    space.client.enqueue(Number(5)).await.unwrap();
    space.until_count("q", "buried", 1).await;
    node.stop().await;
    let mut lines = vec![];
    while let Some(line) = recorder.recv().await {
        lines.push(line);
    }
    let expected = [
        "init",
        "ready",
        "job 5 1 0",
        "error 1",
        "job 5 2 5",
        "error 2",
        "job 5 3 5",
        "error 3",
        "job 5 4 5",
        "error 4",
        "job 5 5 5",
        "error 5",
        "stop",
    ];
    assert_eq!(lines, expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_stops_its_slot_or_its_pool_and_both_start_again() {
    let space = Space::new("stops");
    let (worker, mut recorder) = recorder();
    let mut node = space.node().pool(Pool::new("q").size(2).worker(worker));
    let handle = node.handle();
    let node = start(node);
    for line in ["init", "init", "ready"] {
        assert_eq!(told(&mut recorder).await, line);
    }
    for _ in 0..2 {
        space.client.enqueue(Number(3)).await.unwrap();
        assert_eq!(told(&mut recorder).await, "job 3 1 0");
        assert_eq!(told(&mut recorder).await, "stop");
    }
    space.until_count("q", "completed", 2).await;
    space.client.enqueue(Number(0)).await.unwrap();
    assert!(handle.pools().await.unwrap()[0].running);
    assert_eq!(space.ready("q").await, 1, "no slot is left to claim it");
    handle.start("q").await.unwrap();
    let mut lines =
        vec![told(&mut recorder).await, told(&mut recorder).await, told(&mut recorder).await];
    lines.sort();
    assert_eq!(lines, ["init", "init", "job 0 1 0"]);
    space.client.enqueue(Number(4)).await.unwrap();
    assert_eq!(told(&mut recorder).await, "job 4 1 0");
    assert_eq!(
        (told(&mut recorder).await, told(&mut recorder).await),
        ("stop".into(), "stop".into())
    );
    eventually("stopped", || async { !handle.pools().await.unwrap()[0].running }).await;
    space.client.enqueue(Number(0)).await.unwrap();
    handle.start("q").await.unwrap();
    space.until_count("q", "completed", 5).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_cannot_start_takes_nothing_and_tries_again() {
    let space = Space::new("init");
    let (mut worker, mut recorder) = recorder();
    worker.broken = 2;
    let inits = Arc::clone(&worker.inits);
    space.client.enqueue(Number(0)).await.unwrap();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    assert_eq!(told(&mut recorder).await, "init");
    assert_eq!(inits.load(Ordering::SeqCst), 3);
    assert_eq!(told(&mut recorder).await, "ready");
    assert_eq!(told(&mut recorder).await, "job 0 1 0");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_idle_slot_hibernates_and_wakes_for_the_next_job() {
    let space = Space::new("hibernate");
    let (worker, mut recorder) = recorder();
    let pool = Pool::new("q").size(1).hibernate_after(Duration::from_millis(50)).worker(worker);
    let node = start(space.node().pool(pool));
    for round in 0..3 {
        assert_eq!(told(&mut recorder).await, "init");
        if round == 0 {
            assert_eq!(told(&mut recorder).await, "ready");
        } else {
            assert_eq!(told(&mut recorder).await, format!("job {} 1 0", 10 + round));
        }
        assert_eq!(told(&mut recorder).await, "hibernate 0");
        space.client.enqueue(Number(11 + round)).await.unwrap();
    }
    space.until_count("q", "completed", 3).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pools_come_and_go_and_change_their_size_while_the_node_runs() {
    let space = Space::new("dynamic");
    let mut node = space.node();
    let handle = node.handle();
    let node = start(node);
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (gate, open) = tokio::sync::watch::channel(false);
    let worker = {
        let (running, most) = (Arc::clone(&running), Arc::clone(&most));
        worker_fn(move |_: Number, _| {
            let (running, most, mut open) = (Arc::clone(&running), Arc::clone(&most), open.clone());
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                open.wait_for(|open| *open).await?;
                running.fetch_sub(1, Ordering::SeqCst);
                Ok::<_, BoxError>(Done)
            }
        })
    };
    handle.add(Pool::new("q").size(1).worker(worker.clone())).await.unwrap();
    let twice = handle.add(Pool::new("q").worker(worker)).await.unwrap_err();
    assert!(twice.is_invalid() && twice.to_string().contains("two pools"), "{twice}");
    let told = async |size| {
        let nodes = space.client.nodes().await.unwrap();
        let pools = nodes.into_iter().filter_map(|node| node.info).map(|info| info.pools);
        pools.flatten().eq([("q".to_owned(), size)])
    };
    eventually("operators see the pool", || told(1)).await;
    for i in 0..20 {
        space.client.enqueue(Number(i)).await.unwrap();
    }
    eventually("one runs", || async { running.load(Ordering::SeqCst) == 1 }).await;
    handle.resize("q", 8).await.unwrap();
    eventually("eight run", || async { running.load(Ordering::SeqCst) == 8 }).await;
    eventually("operators see its size", || told(8)).await;
    handle.resize("q", 2).await.unwrap();
    gate.send_replace(true);
    space.until_count("q", "completed", 20).await;
    assert_eq!(most.load(Ordering::SeqCst), 8);
    gate.send_replace(false);
    for i in 0..6 {
        space.client.enqueue(Number(i)).await.unwrap();
    }
    eventually("two run", || async { running.load(Ordering::SeqCst) == 2 }).await;
    gate.send_replace(true);
    space.until_count("q", "completed", 26).await;
    assert_eq!(most.load(Ordering::SeqCst), 8);

    let (teller, mut told) = teller();
    handle.add(Pool::new("other").size(1).worker(teller)).await.unwrap();
    space.client.enqueue(Number(7)).queue("other").await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 7);
    let names: Vec<_> = handle.pools().await.unwrap().into_iter().map(|pool| pool.queue).collect();
    assert_eq!(names, ["other", "q"]);
    handle.remove("other").await.unwrap();
    assert!(within(told.recv()).await.is_none(), "its slot has gone");
    let gone = handle.resize("other", 2).await.unwrap_err();
    assert!(gone.is_not_found() && gone.to_string().contains("\"q\""), "{gone}");
    assert!(handle.resize("q", 0).await.unwrap_err().is_invalid());
    node.stop().await;
    assert!(handle.pools().await.unwrap_err().is_gone());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_of_a_shared_pool_is_answered_by_handle_call() {
    let space = Space::new("shared-call");
    let (worker, _diary) = recorder();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    for round in 1..=3 {
        let reply: (u64, u64) = within(space.client.call(Number(21)).into_future()).await.unwrap();
        assert_eq!(reply, (42, round), "the slot keeps its state");
    }
    node.stop().await;
}

/// A worker whose `handle_stop` never returns.
#[derive(Clone)]
struct Lingers;

impl Worker for Lingers {
    type Job = Number;

    async fn handle_job(&mut self, _: Number, _: Context) -> Result<Outcome> {
        Ok(Done)
    }

    async fn handle_stop(&mut self) {
        std::future::pending::<()>().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_leaves_the_roster_although_a_handle_stop_never_returns() {
    let space = Space::new("lingers");
    let node = start(space.node().pool(Pool::new("q").size(1).worker(Lingers)));
    space.client.enqueue(Number(1)).await.unwrap();
    space.until_count("q", "completed", 1).await;
    node.stop().await;
    assert!(space.client.nodes().await.unwrap().is_empty());
}
