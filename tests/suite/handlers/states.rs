//! Shared state: where handlers find it, and what a node refuses to start without.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use poolder::prelude::*;
use poolder::{Result, StateType};

use super::{Square, Tell};
use crate::harness::{Number, Space, start, within};

#[derive(Clone)]
struct Name(&'static str);

#[derive(Clone)]
struct Counter(Arc<AtomicU32>);

async fn three(
    State(tell): State<Tell>,
    State(Name(name)): State<Name>,
    State(Counter(counter)): State<Counter>,
    job: Number,
) {
    let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
    tell.say(format!("{name} {} {count}", job.0)).await;
}

/// A worker with state of its slot and of its pool.
#[derive(Clone, Default)]
struct Struct {
    runs: u32,
}

impl Worker for Struct {
    type Job = Square;

    const STATES: &'static [StateType] = &[StateType::of::<Tell>(), StateType::of::<Name>()];

    async fn handle_job(&mut self, job: Square, cx: Context) -> Result<Outcome> {
        self.runs += 1;
        let Name(name) = cx.state()?;
        cx.state::<Tell>()?.say(format!("{name} {} {}", job.0, self.runs)).await;
        cx.state::<String>()?;
        Ok(Done)
    }
}

struct Announce;

impl Middleware for Announce {
    async fn call(&self, cx: Context, next: Next<'_>) -> Result<Outcome> {
        let text = format!("middleware {}", cx.state::<Name>()?.0);
        cx.state::<Tell>()?.say(text).await;
        next.run(cx).await
    }
}

#[tokio::test]
async fn state_is_that_of_the_pool_or_else_of_the_node() {
    let space = Space::new("states");
    let (tell, mut told) = Tell::new();
    let counter = Counter(Arc::default());
    let own = Pool::new("q").size(1).state(Name("pool")).worker(worker_fn(three));
    let node = space.node().state(tell).state(Name("node")).state(counter.clone());
    let mut node = node.pool(own.middleware(Announce));
    let handle = node.handle();
    let node = start(node);
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "middleware pool");
    assert_eq!(within(told.recv()).await.unwrap(), "pool 1 1");

    // A pool that is added later finds the state of the node as well.
    let later = Pool::new("r").size(1).worker(Struct::default()).worker(worker_fn(three));
    handle.add(later).await.unwrap();
    space.client.enqueue(Number(2)).queue("r").await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "node 2 2");
    assert_eq!(counter.0.load(Ordering::Relaxed), 2, "clones share what is in an Arc");

    // A state that no constant names is missed by the attempt that asks for it.
    let once = Policy::default().attempts(1);
    space.client.enqueue(Square(3)).queue("r").policy(once).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "node 3 1");
    space.until_count("r", "buried", 1).await;
    let dead = space.dead("r").await.remove(0);
    let expected =
        r#"pool r: the handler of kind "square" needs state of the type alloc::string::"#;
    assert!(dead.contains(expected) && dead.contains(".state(…)"), "{dead}");
    node.stop().await;
}

#[tokio::test]
async fn a_node_without_the_state_of_a_handler_does_not_start() {
    let space = Space::new("stateless");
    let refused = async |node: poolder::NodeBuilder| {
        let error = within(node.run_until(std::future::pending())).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
        error.to_string()
    };
    let (tell, _told) = Tell::new();
    let pool = || Pool::new("q").size(1).worker(worker_fn(three));
    let error = refused(space.node().state(tell.clone()).pool(pool().state(Name("x")))).await;
    for part in ["pool q", "number", "Counter", ".state(…)", "Name", "Tell"] {
        assert!(error.contains(part), "{part}: {error}");
    }
    let error = refused(space.node().pool(Pool::new("q").worker(Struct::default()))).await;
    assert!(error.contains("square") && error.contains("Tell"), "{error}");

    // Two values of a type could be meant for different handlers.
    let error = refused(space.node().pool(pool().state(Name("a")).state(Name("b")))).await;
    assert!(error.contains("pool q has two values") && error.contains("Name"), "{error}");
    let node = space.node().state(Name("a")).state(Name("b")).pool(pool());
    assert!(refused(node).await.contains("the node has two values"));

    // A pool that a running node refuses leaves the node as it is.
    let mut node = space.node();
    let handle = node.handle();
    let node = start(node);
    let error = handle.add(pool()).await.unwrap_err();
    assert!(error.is_invalid() && error.to_string().contains("Tell"), "{error}");
    assert!(handle.pools().await.unwrap().is_empty());
    node.stop().await;
}

/// A value whose first clone panics.
struct Fragile(Arc<AtomicU32>);

impl Clone for Fragile {
    fn clone(&self) -> Self {
        assert!(self.0.fetch_add(1, Ordering::Relaxed) > 0, "the first clone breaks");
        Self(Arc::clone(&self.0))
    }
}

#[tokio::test]
async fn state_that_panics_when_it_is_cloned_costs_an_attempt_and_no_slot() {
    let space = Space::new("fragile");
    let (tell, mut told) = Tell::new();
    let handler = async |State(tell): State<Tell>, _: State<Fragile>, job: Number| {
        tell.say(format!("run {}", job.0)).await;
    };
    let pool = Pool::new("q").size(1).state(tell).state(Fragile(Arc::default()));
    let node = start(space.node().pool(pool.worker(worker_fn(handler))));
    let once = Policy::default().attempts(1);
    space.client.enqueue(Number(1)).policy(once).await.unwrap();
    space.until_count("q", "buried", 1).await;
    assert!(space.dead("q").await.remove(0).contains("the first clone breaks"));
    space.client.enqueue(Number(2)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), "run 2");
    node.stop().await;
}
