//! Hooks that are told of dead jobs: by whom and how a job may be buried, and the hooks that fail.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use poolder::prelude::*;
use poolder::{Cause, DeadJob, Receipt, Result};
use tokio::sync::mpsc;

use crate::child::itself;
use crate::harness::{Number, Space, eventually, start, within};
use crate::policies::suspect_of_a_dead_node;

/// Set in the process that dies in its hook.
const CHILD: &str = "POOLDER_SUITE_DEAD_HOOKS";

/// A worker that fails every job.
fn failing() -> impl Worker<Job = Number> {
    worker_fn(|job: Number, _: Context| async move { Err::<(), _>(format!("no {}", job.0)) })
}

/// A pool that buries jobs after the first attempt.
fn pool(queue: &str) -> Pool {
    Pool::new(queue).size(1).policy(Policy::default().attempts(1))
}

type Told = mpsc::Receiver<(&'static str, DeadJob)>;

/// Returns a function that makes hooks, each of which sends its name and the dead job.
fn tellers() -> (impl Fn(&'static str) -> Hook, Told) {
    let (tell, told) = mpsc::channel(1_000);
    (move |name| Hook { name, tell: tell.clone() }, told)
}

struct Hook {
    name: &'static str,
    tell: mpsc::Sender<(&'static str, DeadJob)>,
}

impl Hook {
    fn call(&self, dead: DeadJob) -> impl Future<Output = Result<()>> + Send + use<> {
        let sent = self.tell.try_send((self.name, dead));
        async move { Ok(sent?) }
    }
}

impl Space {
    /// Returns how many deaths of a queue wait for their hooks.
    async fn untold(&self, queue: &str) -> u64 {
        self.redis(redis::cmd("ZCARD").arg(self.key(queue, "dead:hooks"))).await
    }

    async fn until_told(&self, queue: &str) {
        eventually("all deaths are told", || async { self.untold(queue).await == 0 }).await;
    }

    /// Makes the next tries of all deaths due.
    async fn hurry(&self, queue: &str) {
        let key = self.key(queue, "dead:hooks");
        let members: Vec<Vec<u8>> = self.redis(redis::cmd("ZRANGE").arg(&key).arg(0).arg(-1)).await;
        for member in members {
            self.redis::<u64>(redis::cmd("ZADD").arg(&key).arg("XX").arg(1).arg(member)).await;
        }
        let control = self.key(queue, "control");
        self.redis::<u64>(redis::cmd("PUBLISH").arg(control).arg("dead")).await;
    }

    async fn with_tenant(&self, number: u64) -> Receipt {
        self.client.enqueue(Number(number)).header("tenant", "acme").await.unwrap()
    }
}

#[tokio::test]
async fn the_hooks_of_a_pool_and_its_node_are_told_of_a_job_that_dies() {
    let space = Space::new("on-dead");
    let (hook, mut told) = tellers();
    let (of_pool, of_node) = (hook("pool"), hook("node"));
    let node = space.node().on_dead(move |dead| of_node.call(dead));
    let node = node.pool(pool("q").worker(failing()).on_dead(move |dead| of_pool.call(dead)));
    let node = start(node.pool(pool("other").worker(failing())));
    let job = space.with_tenant(7).await;
    let mut names = vec![];
    for _ in 0..2 {
        let (name, dead) = within(told.recv()).await.unwrap();
        assert_eq!((dead.id(), dead.kind(), dead.queue()), (job.job, Some("number"), "q"));
        assert_eq!((dead.attempts(), dead.crashes(), dead.failures().len()), (1, 0, 1));
        assert_eq!((dead.reason().cause, dead.reason().message.as_str()), (Cause::Error, "no 7"));
        assert_eq!(dead.headers().get("tenant"), Some("acme"));
        assert_eq!(dead.decode::<Number>().unwrap(), Number(7));
        names.push(name);
    }
    names.sort_unstable();
    assert_eq!(names, ["node", "pool"]);
    space.until_told("q").await;
    space.client.enqueue(Number(8)).queue("other").await.unwrap();
    let (name, dead) = within(told.recv()).await.unwrap();
    assert_eq!((name, dead.queue()), ("node", "other"));
    space.until_told("other").await;
    assert!(told.try_recv().is_err(), "each is called once");
    node.stop().await;
}

#[tokio::test]
async fn a_burial_by_a_rescue_of_an_unreadable_entry_and_of_a_part_of_a_batch_is_told() {
    let space = Space::new("on-dead-others");
    let (hook, mut told) = tellers();
    let (of_pool, of_rows) = (hook("pool"), hook("rows"));
    suspect_of_a_dead_node(&space, None).await;
    let pool = Pool::new("q").size(1).worker(failing());
    let rows = Batcher::new("rows", Rows).limit(2).on_dead(move |dead| of_rows.call(dead));
    let handle = rows.handle(&space.client);
    let node = space.node().pool(pool.on_dead(move |dead| of_pool.call(dead))).add(rows);
    let node = start(node);
    let (_, crashed) = within(told.recv()).await.unwrap();
    assert_eq!((crashed.reason().cause, crashed.crashes()), (Cause::Crash, 3));
    let mut junk = redis::cmd("XADD");
    junk.arg(space.key("q", "ready:high")).arg("*").arg("a").arg("b");
    space.redis::<String>(&mut junk).await;
    let (_, unreadable) = within(told.recv()).await.unwrap();
    assert_eq!((unreadable.kind(), unreadable.reason().cause), (None, Cause::Undecodable));
    assert_eq!(unreadable.view().raw(), Some(b"a\0b".as_slice()));
    assert!(unreadable.decode::<Number>().unwrap_err().is_codec());
    handle.push_many([1, 2]).await.all().unwrap();
    let (name, part) = within(told.recv()).await.unwrap();
    assert_eq!((name, part.kind()), ("rows", Some("poolder.batch/rows")));
    assert_eq!(part.reason().message, "entry 0: no good");
    for queue in ["q", "rows"] {
        space.until_told(queue).await;
    }
    node.stop().await;
}

/// Buries the first entry of each batch.
#[derive(Clone)]
struct Rows;

impl BatchWorker for Rows {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        batch.all().await?;
        batch.bury(0, "no good");
        Ok(Done)
    }
}

#[tokio::test]
async fn a_job_that_dies_in_an_addressed_slot_is_told() {
    let space = Space::new("on-dead-slot");
    let (hook, mut told) = tellers();
    let hook = hook("pool");
    let pool = pool("q").mode(Mode::Phash).worker(failing());
    let node = start(space.node().pool(pool.on_dead(move |dead| hook.call(dead))));
    let pool = space.client.pool::<Number>("q");
    eventually("the pool is there", || async { pool.size().await.is_ok() }).await;
    let job = pool.cast(Number(7)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().1.id(), job.job);
    space.until_told("q").await;
    node.stop().await;
}

#[tokio::test]
async fn a_hook_that_fails_is_called_again_and_a_revived_job_is_left_out() {
    let space = Space::new("on-dead-again");
    let calls = Arc::new(AtomicUsize::new(0));
    let (tell, mut told) = mpsc::channel(1_000);
    let hook = {
        let calls = Arc::clone(&calls);
        move |dead: DeadJob| {
            let (number, tell) = (calls.fetch_add(1, Ordering::SeqCst), tell.clone());
            assert_ne!(number, 0, "the first call panics before it has a future");
            async move {
                assert_ne!(number, 1, "the second call panics in its future");
                if number == 2 {
                    return Err("the third call fails".into());
                }
                Ok(tell.try_send(dead.id())?)
            }
        }
    };
    let node = start(space.node().pool(pool("q").worker(failing()).on_dead(hook)));
    let job = space.client.enqueue(Number(7)).await.unwrap();
    for done in 1..=3 {
        eventually("a call", || async { calls.load(Ordering::SeqCst) == done }).await;
        assert_eq!(space.untold("q").await, 1, "call {done}");
        space.hurry("q").await;
    }
    assert_eq!(within(told.recv()).await, Some(job.job));
    space.until_told("q").await;
    node.stop().await;

    // Nothing serves the queue with a hook when the next job dies and is revived.
    let space = Space::new("on-dead-revived");
    let calls = Arc::new(AtomicUsize::new(0));
    let counting = Arc::clone(&calls);
    let failing_hook = move |_: DeadJob| {
        counting.fetch_add(1, Ordering::SeqCst);
        async { Err("never".into()) }
    };
    let worker = worker_fn(|_: Number, cx: Context| async move {
        if cx.fence() > 1 { Ok(Done) } else { Err("the first time") }
    });
    let node = start(space.node().pool(pool("q").worker(worker).on_dead(failing_hook)));
    let job = space.client.enqueue(Number(7)).await.unwrap();
    eventually("a call", || async { calls.load(Ordering::SeqCst) == 1 }).await;
    space.client.job(&job).revive().await.unwrap();
    space.until_count("q", "completed", 1).await;
    space.hurry("q").await;
    space.until_told("q").await;
    assert_eq!(calls.load(Ordering::SeqCst), 1);
    node.stop().await;
}

#[tokio::test]
async fn without_a_hook_nothing_is_recorded() {
    let space = Space::new("on-dead-none");
    let node = start(space.node().pool(pool("q").worker(failing())));
    space.client.enqueue(Number(7)).await.unwrap();
    space.until_count("q", "buried", 1).await;
    assert_eq!(space.untold("q").await, 0);
    node.stop().await;
}

/// The node that dies in its hook, in a process of its own.
#[tokio::test]
async fn node() {
    if std::env::var_os(CHILD).is_none() {
        return;
    }
    let hook = |_: DeadJob| async {
        let pid = std::process::id().to_string();
        let _ = std::process::Command::new("kill").args(["-KILL", &pid]).status();
        std::future::pending().await
    };
    let client = Client::from_env().await.unwrap();
    let node = Node::builder(client).pool(pool("q").worker(failing()).on_dead(hook));
    node.run().await.unwrap();
}

#[tokio::test]
async fn a_hook_is_called_in_another_process_when_the_first_one_is_killed_before_it_returns() {
    let space = Space::new("on-dead-killed");
    let job = space.client.enqueue(Number(7)).await.unwrap();
    let mut child = itself("dead_hooks::node", &space).env(CHILD, "1").spawn().unwrap();
    let ended = within(child.wait()).await.unwrap();
    assert!(!ended.success());
    assert_eq!((space.count("q", "buried").await, space.untold("q").await), (1, 1));
    let (hook, mut told) = tellers();
    let hook = hook("pool");
    let node =
        start(space.node().pool(pool("q").worker(failing()).on_dead(move |dead| hook.call(dead))));
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert!(told.try_recv().is_err(), "the first process may still be in its hook");
    space.hurry("q").await;
    assert_eq!(within(told.recv()).await.unwrap().1.id(), job.job);
    space.until_told("q").await;
    node.stop().await;
}
