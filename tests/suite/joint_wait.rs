//! The idle pools of a node wait for jobs together, on one connection.

use std::time::Duration;

use poolder::QueueName;
use poolder::prelude::*;
use poolder_core::broker::{ClaimConnection, DeadLimits, WaitPart};
use poolder_core::{Lane, Partition, Timestamp};
use poolder_devserver::Server;
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, within};

const QUEUES: [&str; 3] = ["a", "b", "c"];

fn partition(queue: &str) -> Partition {
    Partition::first(QueueName::new(queue).unwrap())
}

impl Space {
    async fn enqueue_to(&self, queue: &str, number: u64) {
        self.client.enqueue(Number(number)).queue(queue).await.unwrap();
    }

    /// Waits until this many connections of the server block.
    async fn until_blocked(&self, connections: usize) {
        let line = format!("blocked_clients:{connections}\r\n");
        eventually(&line, || async {
            self.redis::<String>(redis::cmd("INFO").arg("clients")).await.contains(&line)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_pools_wait_on_one_connection_until_there_are_jobs() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "joint_wait");
    let (tell, mut told) = mpsc::channel(100);
    let node = QUEUES.into_iter().fold(space.node(), |node, queue| {
        let tell = tell.clone();
        let worker = worker_fn(move |job: Number, _cx: Context| {
            let tell = tell.clone();
            async move {
                tell.send((queue, job.0)).await?;
                Ok::<_, BoxError>(Done)
            }
        });
        node.pool(Pool::new(queue).size(1).worker(worker))
    });
    let node = start(node);
    space.until_blocked(3).await;
    space.until_blocked(1).await;
    // A pause ends the wait of all pools, and the others go on.
    space.client.pause("a").await.unwrap();
    space.enqueue_to("b", 1).await;
    assert_eq!(within(told.recv()).await, Some(("b", 1)));
    space.enqueue_to("a", 2).await;
    space.client.resume("a").await.unwrap();
    assert_eq!(within(told.recv()).await, Some(("a", 2)));
    // `c` still waits in the common wait. Jobs of all queues come at once.
    for queue in QUEUES {
        for number in 10..20 {
            space.enqueue_to(queue, number).await;
        }
    }
    let mut jobs = vec![];
    for _ in 0..30 {
        jobs.push(within(told.recv()).await.unwrap());
    }
    jobs.sort_unstable();
    let all = QUEUES.into_iter().flat_map(|queue| (10..20).map(move |number| (queue, number)));
    assert_eq!(jobs, all.collect::<Vec<_>>());
    // Each has a connection of its own again, and gives it up when it is idle.
    space.until_blocked(3).await;
    space.until_blocked(1).await;
    node.stop().await;
    for queue in QUEUES {
        assert_eq!(space.ready(queue).await, 0);
        assert_eq!(space.consumers(queue).await, [""; 0], "{queue}");
    }
}

#[tokio::test]
async fn a_wait_for_several_partitions_claims_one_job_of_each_lane_and_makes_missing_groups() {
    let space = Space::new("wait_parts");
    let (broker, limits) = (space.client.broker(), DeadLimits::default());
    let mut open = ClaimConnection::open(broker, &partition("a"), "node", limits).await.unwrap();
    let part = |queue: &str, lanes: &[Lane], renew| WaitPart {
        partition: partition(queue),
        lanes: lanes.to_vec(),
        renew,
    };
    let parts = [
        part("a", &[Lane::High, Lane::Normal], true),
        part("b", &Lane::ALL, false),
        part("c", &[Lane::Normal], true),
    ];
    assert!(broker.begin_wait(&partition("c"), "node", 1, []).await.unwrap().permit);
    for queue in QUEUES {
        space.enqueue_to(queue, 7).await;
        space.enqueue_to(queue, 8).await;
    }
    let now = Timestamp::now();
    let first = open.wait(&parts, now + Duration::from_secs(1)).await.unwrap();
    assert!(first.iter().all(|end| end.claimed.is_empty()), "the groups of b and c are made");
    let second = open.wait(&parts, now + Duration::from_secs(2)).await.unwrap();
    assert_eq!(second.iter().map(|end| end.claimed.len()).collect::<Vec<_>>(), [1, 1, 1]);
    let lost: Vec<bool> = second.iter().map(|end| end.permit_lost).collect();
    assert_eq!(lost, [true, false, false], "a has no permit, and b is not asked about");
    for queue in QUEUES {
        assert!(broker.holds_claims(&partition(queue), "node").await.unwrap());
        assert!(!broker.holds_claims(&partition(queue), "another").await.unwrap());
    }
}
