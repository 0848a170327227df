//! Measures enqueueing and working.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bench_protocol::{Meter, Order, Payload, Stopwatch, Work};
use poolder::{
    Backoff, Client, Context, Error, Outcome, Policy, Pool, QueueLimits, Result, Unique, Worker,
    worker_fn,
};

use super::{Bench, Hold};

/// The number of jobs in one bulk call.
const BULK: u64 = 1000;

/// For how long an idempotent job is stored once.
const HOUR: Duration = Duration::from_secs(3_600);

/// Opens the connection and registers the queue, so that neither is measured.
pub(super) async fn warm_up(client: &Client) {
    let _ = client.ping().await;
}

/// Enqueues from `concurrency` callers, each one job at a time.
pub(super) async fn one_by_one(client: &Client, order: &Order, meter: &Meter) -> Result<(), Error> {
    meter.start();
    let callers = order.concurrency as u64;
    let mut tasks = tokio::task::JoinSet::new();
    for caller in 0..callers {
        let (client, meter, size) = (client.clone(), meter.clone(), order.payload);
        let (work, groups) = (order.work, order.groups);
        let jobs = order.jobs / callers + u64::from(caller < order.jobs % callers);
        tasks.spawn(async move {
            for n in 0..jobs {
                let enqueue = client.enqueue(Bench(Payload::new(n, size)));
                match work {
                    Work::EnqueueIdempotent => enqueue.id(format!("{caller}-{n}")).idempotent(HOUR),
                    Work::EnqueueUnique => enqueue.unique(Unique::until_done().by(&(caller, n))),
                    Work::EnqueueGroups => enqueue.group(group_of(caller * jobs + n, groups)),
                    Work::EnqueueDuplicate => enqueue.unique(Unique::until_done().by(&0)),
                    _ => enqueue,
                }
                .await?;
                meter.hit();
            }
            Ok::<_, Error>(())
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.expect("a caller does not panic")?;
    }
    Ok(())
}

/// Enqueues from one caller, many jobs in each call.
pub(super) async fn bulk(
    client: &Client,
    order: &Order,
    jobs: u64,
    meter: &Meter,
) -> Result<(), Error> {
    meter.start();
    let mut sent = 0;
    while sent < jobs {
        let now = BULK.min(jobs - sent);
        let some = (sent..sent + now).map(|n| Bench(Payload::new(n, order.payload)));
        for result in client.enqueue_many(some).await {
            result?;
        }
        sent += now;
        meter.hits(now);
    }
    Ok(())
}

/// Limits the queue of the measured jobs, so that its groups start jobs in turn.
pub(super) async fn limit(client: &Client, order: &Order) -> Result<(), Error> {
    let limits = match order.limit {
        0 => QueueLimits::new(),
        most => QueueLimits::new().group_concurrency(most),
    };
    client.limits("bench").set(limits).await
}

fn group_of(number: u64, groups: u64) -> String {
    format!("group-{}", number % groups.max(1))
}

/// Stores jobs of groups, many in each call.
pub(super) async fn fill_groups(client: &Client, order: &Order, jobs: u64) -> Result<(), Error> {
    let mut sent = 0;
    while sent < jobs {
        let now = BULK.min(jobs - sent);
        let prepare = |n| {
            let job = Bench(Payload::new(n, order.payload));
            client.enqueue(job).group(group_of(n, order.groups)).prepare()
        };
        for result in client.enqueue_prepared((sent..sent + now).map(prepare).collect()).await {
            result?;
        }
        sent += now;
    }
    Ok(())
}

/// Stores the backlog. Jobs that are to be retried have a policy of their own.
pub(super) async fn fill(client: &Client, order: &Order) -> Result<(), Error> {
    if order.work != Work::Retry {
        return bulk(client, order, order.backlog, &Meter::new(u64::MAX)).await;
    }
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(1)));
    let mut sent = 0;
    while sent < order.backlog {
        let now = BULK.min(order.backlog - sent);
        let prepare = |n| {
            let job = Bench(Payload::new(n, order.payload));
            client.enqueue(job).policy(policy.clone()).prepare()
        };
        for result in client.enqueue_prepared((sent..sent + now).map(prepare).collect()).await {
            result?;
        }
        sent += now;
    }
    Ok(())
}

/// Stores jobs that are due in a day.
pub(super) async fn store_delayed(client: &Client, order: &Order, jobs: u64) -> Result<(), Error> {
    let day = Duration::from_secs(24 * 60 * 60);
    let mut sent = 0;
    while sent < jobs {
        let now = BULK.min(jobs - sent);
        let prepare =
            |n| client.enqueue(Bench(Payload::new(n, order.payload))).after(day).prepare();
        for result in client.enqueue_prepared((sent..sent + now).map(prepare).collect()).await {
            result?;
        }
        sent += now;
    }
    Ok(())
}

/// Enqueues one job every 20 ms.
pub(super) async fn every_20_ms(
    client: &Client,
    order: &Order,
    watch: &Stopwatch,
) -> Result<(), Error> {
    for n in 0..order.jobs {
        watch.sends(n);
        client.enqueue(Bench(Payload::new(n, order.payload))).await?;
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// Enqueues jobs whose number is the time they are due: each after the same delay, or all at one
/// instant.
pub(super) async fn delayed(client: &Client, order: &Order) -> Result<(), Error> {
    let delay = Duration::from_millis(order.delay_ms);
    let instant = SystemTime::now() + delay;
    for _ in 0..order.jobs {
        let due =
            if order.work == Work::DelayedAtOnce { instant } else { SystemTime::now() + delay };
        let since = due.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let job = Bench(Payload::new(u64::try_from(since).unwrap_or(u64::MAX), order.payload));
        let enqueue = client.enqueue(job);
        match order.work {
            Work::DelayedAtOnce => enqueue.at(due).await?,
            _ => enqueue.after(delay).await?,
        };
    }
    Ok(())
}

/// Runs `jobs` jobs that do not end, in a second node. If `grouped`, each is of a group of its own, in
/// which another one waits.
pub(super) async fn hold(client: &Client, jobs: usize, grouped: bool) -> Result<(), Error> {
    let prepare = |n: usize| match grouped {
        true => client.enqueue(Hold).group(format!("held-{}", n % jobs)).prepare(),
        false => client.enqueue(Hold).prepare(),
    };
    let all = if grouped { 2 * jobs } else { jobs };
    for result in client.enqueue_prepared((0..all).map(prepare).collect()).await {
        result?;
    }
    let running = Meter::new(jobs as u64);
    let count = running.clone();
    let handler = move |_job: Hold, _cx: Context| {
        count.hit();
        std::future::pending::<Result<Outcome>>()
    };
    let slots = u16::try_from(jobs).unwrap_or(u16::MAX);
    super::start(client, Pool::new("bench").size(slots).worker(worker_fn(handler)));
    running.reached().await;
    Ok(())
}

/// Waits until the last settlement is stored, so that it is measured too. Jobs that run beside the
/// measured ones remain.
pub(super) async fn settled(url: &str, stream: &str, running: usize) {
    let Ok(client) = redis::Client::open(url) else { return };
    let Ok(mut connection) = client.get_multiplexed_async_connection().await else { return };
    let length = redis::cmd("XLEN").arg(stream).clone();
    while length.query_async::<usize>(&mut connection).await.unwrap_or(0) > running {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// The worker that is measured.
#[derive(Clone)]
pub(super) struct Measured {
    meter: Meter,
    time: Duration,
    fails: bool,
}

impl Measured {
    pub(super) fn new(order: &Order, meter: &Meter) -> Self {
        let (time, fails) = (Duration::from_millis(order.handler_ms), order.work == Work::Retry);
        Self { meter: meter.clone(), time, fails }
    }
}

impl Worker for Measured {
    type Job = Bench;

    async fn handle_job(&mut self, _job: Bench, cx: Context) -> Result<Outcome> {
        if self.fails && cx.attempt() == 1 {
            return Err("the first attempt fails".into());
        }
        if !self.time.is_zero() {
            tokio::time::sleep(self.time).await;
        }
        self.meter.hit();
        Ok(Outcome::Done)
    }
}
