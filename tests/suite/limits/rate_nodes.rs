//! Rates, as nodes keep them. Times are least ones: a slow machine takes longer.

use std::time::{Duration, Instant};

use poolder::prelude::*;
use poolder::{GroupLimits, Limited, Queue, QueueLimits, Rate, Timestamp, Why};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, start, teller, within};

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test]
async fn jobs_start_no_faster_than_the_rates_of_their_group_and_queue() {
    let space = Space::new("rates-nodes");
    // One each 40 ms of a group, and each 20 ms of the queue.
    let each = Rate::per(25, SECOND).burst(1);
    let rate = Rate::per(50, SECOND).burst(1);
    space.client.limits("q").set(QueueLimits::new().rate(rate).group_rate(each)).await.unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let nodes = [0, 1].map(|_| {
        let tell = tell.clone();
        let worker = worker_fn(move |job: Number| {
            let tell = tell.clone();
            async move { tell.send(job.0).await.map_err(BoxError::from) }
        });
        start(space.node().queue(Queue::new("q")).pool(Pool::new("q").size(8).worker(worker)))
    });
    let began = Instant::now();
    for number in 0..12 {
        let group = if number % 2 == 0 { "even" } else { "odd" };
        space.client.enqueue(Number(number)).group(group).await.unwrap();
    }
    let mut ran = vec![];
    for _ in 0..12 {
        ran.push(within(told.recv()).await.unwrap());
    }
    // Of 12 jobs of the queue all but the first wait for a token, and so do those of each group.
    let least = Duration::from_millis(11 * 20);
    assert!(began.elapsed() >= least, "12 jobs started within {:?}", began.elapsed());
    ran.sort_unstable();
    assert_eq!(ran, (0..12).collect::<Vec<_>>());
    for node in nodes {
        node.stop().await;
    }
}

#[tokio::test]
async fn a_job_takes_its_cost_and_a_rate_is_changed_while_jobs_wait() {
    let space = Space::new("rates-cost");
    let limits = space.client.limits("q");
    let slow = QueueLimits::new().group_rate(Rate::per(10, 3_600 * SECOND).burst(10));
    limits.set(slow).await.unwrap();
    assert_eq!(limits.get().await.unwrap(), Some(slow));
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    let mut last = None;
    for (number, cost) in [(0, 7), (1, 4), (2, 1)] {
        let job = space.client.enqueue(Number(number)).group("acme").cost(cost);
        last = Some(job.await.unwrap().handle());
    }
    assert_eq!(within(told.recv()).await.unwrap().0, 0);
    // The next job needs 4 tokens, there are 3, and the last one waits behind it.
    let job = space.client.job(last.unwrap());
    let explained = async {
        loop {
            let why = job.explain().await.unwrap();
            if why.verdict == Why::GroupRate {
                break why;
            }
        }
    };
    let why = within(explained).await;
    let day = why.until.unwrap().since(Timestamp::now());
    assert!(day > 1_000 * SECOND, "{why}");
    assert!(why.to_string().contains("rate: 10 in 1 h"), "{why}");
    let fast = GroupLimits::new().rate(Rate::per(1_000, SECOND).burst(100));
    assert!(limits.set_group("acme", fast).await.unwrap());
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    node.stop().await;
}

#[tokio::test]
async fn rates_and_costs_that_cannot_hold_are_refused() {
    let space = Space::new("rates-refused");
    let limits = space.client.limits("q");
    for rate in [Rate::per(0, SECOND), Rate::per(u32::MAX, SECOND), Rate::per(1, Duration::MAX)] {
        for bad in [QueueLimits::new().rate(rate), QueueLimits::new().group_rate(rate)] {
            let error = limits.set(bad).await.unwrap_err();
            assert!(error.is_invalid() && error.to_string().contains("use "), "{error}");
        }
        let error = limits.set_group("a", GroupLimits::new().rate(rate)).await.unwrap_err();
        assert!(error.is_invalid(), "{error}");
    }
    assert_eq!(limits.get().await.unwrap(), None, "nothing was changed");
    for cost in [0, u32::MAX] {
        let error = space.client.enqueue(Number(1)).queue("q").cost(cost).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("1000000000"), "{error}");
    }
}

#[tokio::test]
async fn a_job_that_meets_a_limit_goes_back_before_its_group_and_no_attempt_is_counted() {
    let space = Space::new("rates-limited");
    space.client.limits("q").set(QueueLimits::new()).await.unwrap();
    for number in [0, 1, 2] {
        space.client.enqueue(Number(number)).group("a").await.unwrap();
    }
    space.client.enqueue(Number(10)).group("b").await.unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let worker = || {
        let tell = tell.clone();
        worker_fn(move |job: Number, cx: Context| {
            let tell = tell.clone();
            async move {
                tell.send((job.0, cx.attempt())).await?;
                match (job.0, cx.fence()) {
                    (0, 1) => Err(Limited::group(Duration::from_millis(40)).into()),
                    (20, _) => Err(Limited::queue(Duration::from_millis(1)).at_most(1).into()),
                    _ => Ok::<_, BoxError>(Done),
                }
            }
        })
    };
    let plain = Pool::new("p").size(1).policy(Policy::default().attempts(1)).worker(worker());
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker())).pool(plain));
    for ran in [0, 10, 0, 1, 2] {
        assert_eq!(within(told.recv()).await.unwrap(), (ran, 1));
    }
    space.until_count("q", "limited", 1).await;
    // On a queue without limits it is a snooze; the second time in a row is a failure.
    space.client.enqueue(Number(20)).queue("p").await.unwrap();
    for _ in 0..2 {
        assert_eq!(within(told.recv()).await.unwrap(), (20, 1));
    }
    space.until_count("p", "buried", 1).await;
    space.until_count("p", "limited", 1).await;
    node.stop().await;
}

#[tokio::test]
async fn what_a_job_has_really_cost_is_taken_when_it_ends() {
    let space = Space::new("rates-charge");
    let limits = space.client.limits("q");
    let hour = Rate::per(10, 3_600 * SECOND).burst(10);
    limits.set(QueueLimits::new().group_rate(hour).rate(hour)).await.unwrap();
    let (tell, mut told) = mpsc::channel(100);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.0).await?;
            cx.charge(9);
            cx.charge(u32::from(job.0 != 0));
            Ok::<_, BoxError>(Done)
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    // The first one takes all tokens and gives them back, each other one takes one of ten.
    for number in 0..=10 {
        let cost = if number == 0 { 10 } else { 1 };
        space.client.enqueue(Number(number)).group("acme").cost(cost).await.unwrap();
    }
    for number in 0..=10 {
        assert_eq!(within(told.recv()).await.unwrap(), number);
    }
    node.stop().await;
}
