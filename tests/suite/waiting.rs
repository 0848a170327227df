//! Wait permits: only a few nodes of a fleet block at a queue, the others rest, and every job finds
//! a free slot all the same.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use poolder::QueueName;
use poolder::prelude::*;
use poolder_core::Partition;
use poolder_core::broker::{Beater, Hint};
use tokio::sync::mpsc;

use crate::harness::{Number, Running, Space, eventually, start, within};

fn partition() -> Partition {
    Partition::first(QueueName::new("q").unwrap())
}

/// Returns a client of its own, as in another process.
fn own_client(space: &Space) -> Client {
    Client::new(poolder::Config::new(space.url()).namespace(space.name())).unwrap()
}

#[derive(Clone)]
struct OneWaits;

#[poolder::pool(name = "q", size = 1, wait_permits = 1)]
impl Worker for OneWaits {
    type Job = Number;

    async fn handle_job(&mut self, _: Number, _: Context) -> poolder::Result<Outcome> {
        Ok(Done)
    }
}

/// Starts nodes of one slot. Each tells its number and that of the job, and holds its jobs from
/// `held` on.
fn fleet(
    space: &Space,
    nodes: usize,
    permits: u16,
    held: u64,
) -> (Vec<Running>, mpsc::Receiver<(usize, u64)>) {
    let (tell, told) = mpsc::channel(1_000);
    let node = |at| {
        let tell = tell.clone();
        let worker = worker_fn(move |job: Number, _cx: Context| {
            let tell = tell.clone();
            async move {
                tell.send((at, job.0)).await?;
                if job.0 >= held {
                    std::future::pending::<()>().await;
                }
                Ok::<_, BoxError>(Done)
            }
        });
        let pool = Pool::new("q").size(1).wait_permits(permits).worker(worker);
        start(Node::builder(own_client(space)).pool(pool))
    };
    ((0..nodes).map(node).collect(), told)
}

impl Space {
    async fn members(&self, key: &str) -> Vec<String> {
        self.redis(redis::cmd("ZRANGE").arg(self.key("q", key)).arg(0).arg(-1)).await
    }

    /// Waits until this many nodes wait for jobs, and this many rest.
    async fn until_settled(&self, waiting: usize, resting: usize) {
        eventually(&format!("{waiting} nodes wait and {resting} rest"), || async {
            let (waits, rests) = (self.members("waiting").await, self.members("resting").await);
            (waits.len(), rests.len()) == (waiting, resting)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_nodes_wait_and_the_others_run_jobs_as_soon_as_those_have_no_room() {
    let space = Space::new("permits");
    let (nodes, mut told) = fleet(&space, 5, 2, 100);
    space.until_settled(2, 3).await;
    let mut ran = vec![0; 5];
    for number in 0..20 {
        space.client.enqueue(Number(number)).await.unwrap();
        let (node, job) = within(told.recv()).await.unwrap();
        assert_eq!(job, number);
        ran[node] += 1;
        space.until_count("q", "completed", number + 1).await;
    }
    assert!(ran.iter().filter(|jobs| **jobs > 0).count() <= 2, "others did not rest: {ran:?}");
    // Each of these takes the only slot of its node, so that all nodes are needed.
    for result in space.client.enqueue_many((100..105).map(Number)).await {
        result.unwrap();
    }
    let mut nodes_of_jobs = vec![];
    for _ in 0..5 {
        nodes_of_jobs.push(within(told.recv()).await.unwrap().0);
    }
    nodes_of_jobs.sort_unstable();
    assert_eq!(nodes_of_jobs, [0, 1, 2, 3, 4]);
    for number in 100..105 {
        let running = space.client.inspect("q").running(None, 10).await.unwrap().jobs;
        assert_eq!(running.len(), 105 - number);
        space.client.job(running[0].handle.clone()).cancel().await.unwrap();
        space.until_count("q", "cancelled", number as u64 - 99).await;
    }
    space.until_settled(2, 3).await;
    for node in nodes {
        node.stop().await;
    }
    space.until_settled(0, 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_attribute_of_a_pool_says_how_many_nodes_wait() {
    let space = Space::new("permits-of-macro");
    let nodes: Vec<_> =
        (0..3).map(|_| start(Node::builder(own_client(&space)).add(OneWaits))).collect();
    space.until_settled(1, 2).await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nodes_that_rest_take_the_place_of_one_that_vanishes_while_it_waits() {
    let space = Space::new("vanished_waiter");
    let (mut nodes, mut told) = fleet(&space, 3, 1, u64::MAX);
    space.until_settled(1, 2).await;
    let vanished = space.members("waiting").await;
    space.client.enqueue(Number(0)).await.unwrap();
    let (waiter, _) = within(told.recv()).await.unwrap();
    space.until_count("q", "completed", 1).await;
    assert_eq!(space.members("waiting").await, vanished);
    nodes.remove(waiter).vanish().await;
    for number in 1..4 {
        space.client.enqueue(Number(number)).await.unwrap();
        let (node, job) = within(told.recv()).await.unwrap();
        assert!(node != waiter && job == number);
    }
    eventually("another node waits", || async {
        let waiting = space.members("waiting").await;
        waiting.len() == 1 && waiting != vanished
    })
    .await;
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rubbish_at_the_keys_of_the_permits_keeps_no_job_waiting() {
    let space = Space::new("rubbish_permits");
    for key in ["waiting", "resting"] {
        space.redis::<()>(redis::cmd("SET").arg(space.key("q", key)).arg("rubbish")).await;
    }
    let (nodes, mut told) = fleet(&space, 3, 1, u64::MAX);
    for number in 0..5 {
        space.client.enqueue(Number(number)).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().1, number);
    }
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_node_that_gives_its_permit_up_wakes_one_that_can_hear_it() {
    let space = Space::new("wake");
    let (broker, partition) = (space.client.broker(), partition());
    let ask = |node: &'static str, dead: Vec<&'static str>| {
        let partition = partition.clone();
        async move { broker.begin_wait(&partition, node, 1, dead).await.unwrap().permit }
    };
    assert!(ask("first", vec![]).await);
    assert!(ask("first", vec![]).await, "it keeps its permit");
    let mut heard = broker.listen(std::slice::from_ref(&partition), "second").await.unwrap();
    assert!(!ask("second", vec![]).await);
    assert!(!ask("vanished", vec![]).await);
    assert_eq!(broker.end_wait(&partition, "first", 1).await.unwrap(), 1, "the second only");
    assert_eq!(within(heard.next()).await, Some((0, Hint::Wake)));
    assert_eq!(space.members("resting").await, [""; 0]);
    assert!(ask("second", vec![]).await);
    assert!(!ask("third", vec![]).await);
    assert!(ask("third", vec!["second"]).await, "the second has died");
    assert_eq!(space.members("waiting").await, ["third"]);
}

#[tokio::test]
async fn for_each_job_that_waits_a_node_is_woken() {
    let space = Space::new("wake_many");
    let (broker, partition) = (space.client.broker(), partition());
    let heard = Arc::new(AtomicUsize::new(0));
    for node in 0..6 {
        let name = format!("node {node}");
        let mut listener = broker.listen(std::slice::from_ref(&partition), &name).await.unwrap();
        assert_eq!(broker.begin_wait(&partition, &name, 1, []).await.unwrap().permit, node == 0);
        let heard = Arc::clone(&heard);
        tokio::spawn(async move {
            while listener.next().await.is_some() {
                heard.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    for number in 0..3 {
        space.client.enqueue(Number(number)).await.unwrap();
    }
    let answer = broker.begin_wait(&partition, "node 0", 1, []).await.unwrap();
    assert_eq!(answer.depths, [0, 0, 0, 3, 0]);
    // One for each job, and one in its place.
    assert_eq!(broker.end_wait(&partition, "node 0", 1).await.unwrap(), 4);
    eventually("four are woken", || async { heard.load(Ordering::Relaxed) == 4 }).await;
    assert_eq!(space.members("resting").await.len(), 1);
    // It only helps: it has no permit any more, and none is asked to be in use.
    assert_eq!(broker.end_wait(&partition, "node 0", 0).await.unwrap(), 1);
    assert_eq!(broker.end_wait(&partition, "node 0", 0).await.unwrap(), 0, "no node rests");
}

#[tokio::test]
async fn permits_that_no_clock_can_have_given_end_at_once() {
    let space = Space::new("odd_permits");
    for (node, end) in [("past", "1"), ("far ahead", "9999999999999"), ("endless", "inf")] {
        let mut add = redis::cmd("ZADD");
        space.redis::<()>(add.arg(space.key("q", "waiting")).arg(end).arg(node)).await;
    }
    let answer = space.client.broker().begin_wait(&partition(), "node", 1, []).await.unwrap();
    assert!(answer.permit);
    assert_eq!(space.members("waiting").await, ["node"]);
}

#[tokio::test]
async fn the_first_beat_and_each_fifth_one_count_the_nodes() {
    let space = Space::new("counted");
    let broker = space.client.broker().clone();
    let counts = tokio::task::spawn_blocking(move || {
        Beater::new(&broker).beat("another", std::time::Duration::ZERO).unwrap();
        let mut beater = Beater::new(&broker);
        [(); 6].map(|()| beater.beat("node", std::time::Duration::ZERO).unwrap().nodes)
    });
    assert_eq!(within(counts).await.unwrap(), [Some(2), None, None, None, None, Some(2)]);
}
