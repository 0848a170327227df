//! The requests of callers that wait for a job.

use std::time::Duration;

use poolder::{Handle, JobId, QueueName};
use poolder_devserver::Server;

use crate::harness::{Number, PATIENCE, Space, eventually, within};

/// Returns how often the server has run a command, also within scripts.
pub(crate) fn calls(server: &Server, command: &str) -> u64 {
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    let start = format!("cmdstat_{command}:calls=");
    let line = stats.lines().find_map(|line| line.strip_prefix(&start));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_wait_for_a_job_that_was_moved_is_hinted_in_its_slot() {
    let space = Space::new("moved-wait");
    let job = JobId::generate();
    let handle = Handle::new(QueueName::new("q").unwrap(), job);
    let client = space.client.clone();
    let waiting =
        tokio::spawn(async move { client.job(&handle).wait::<()>().timeout(PATIENCE * 10).await });
    let first = space.key("q", &format!("result:{job}"));
    let second = first.replace(".0}", ".1}");
    let listens = async |channel: &str| {
        let found: Vec<String> =
            space.redis(redis::cmd("PUBSUB").arg("CHANNELS").arg(channel)).await;
        found.len() == 1
    };
    eventually("the caller listens", || listens(&first)).await;
    space.redis::<()>(redis::cmd("SET").arg(&first).arg("m1")).await;
    space.redis::<u64>(redis::cmd("PUBLISH").arg(&first).arg("end")).await;
    eventually("the caller listens in the other slot", || listens(&second)).await;
    eventually("and no longer in the first", async || !listens(&first).await).await;
    space.redis::<()>(redis::cmd("SET").arg(&second).arg("d")).await;
    space.redis::<u64>(redis::cmd("PUBLISH").arg(&second).arg("end")).await;
    within(waiting).await.unwrap().unwrap();
}

#[tokio::test]
async fn calls_that_wait_do_not_read_the_dead() {
    let server = Server::builder().start().unwrap();
    let space = Space::on(server.url(), "calls");
    let calling: Vec<_> = (0..20)
        .map(|n| {
            let client = space.client.clone();
            tokio::spawn(async move { client.call::<_, u64>(Number(n)).timeout(PATIENCE).await })
        })
        .collect();
    eventually("each call has looked more than once", || async { calls(&server, "get") > 60 })
        .await;
    assert_eq!(calls(&server, "hget"), 0, "a call leaves a record however it ends");
    calling.iter().for_each(tokio::task::JoinHandle::abort);
    let waiting = space.client.enqueue(Number(0)).await.unwrap();
    let late = space.client.job(&waiting).wait::<u64>().timeout(Duration::from_millis(10)).await;
    assert!(late.unwrap_err().is_timeout() && calls(&server, "hget") > 0);
}

#[tokio::test]
async fn records_of_a_job_that_moved_away_and_back_are_each_read_once() {
    let server = Server::builder().start().unwrap();
    let space = Space::on(server.url(), "circle");
    let handle = Handle::new(QueueName::new("q").unwrap(), JobId::generate());
    let first = space.key("q", &format!("result:{}", handle.job));
    space.redis::<()>(redis::cmd("SET").arg(&first).arg("m1")).await;
    space.redis::<()>(redis::cmd("SET").arg(first.replace(".0}", ".1}")).arg("m0")).await;
    assert_eq!(
        space.client.broker().followed_completion(&handle.partition, handle.job).await.unwrap().1,
        None
    );
    assert_eq!(calls(&server, "get"), 2);
}
