//! Jobs that can never be settled as their handlers have ended: a key that the settlement needs has
//! a wrong type. Every other job is settled, and the pool goes on.

use std::future::IntoFuture;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use poolder::prelude::*;
use poolder::{Config, JobId, QueueName, Result, Timestamp};
use poolder_core::Partition;
use poolder_core::broker::{AcquireReply, DeadLimits, PollRequest, SlotPoll};
use poolder_devserver::Server;
use tokio::sync::{Semaphore, mpsc};

use crate::harness::{Number, Space, eventually, start, teller, within};
use crate::log::Log;

/// Gives a key of queue `q` a type that no script expects there.
async fn poison(space: &Space, rest: &str) {
    let _: () = space.redis(redis::cmd("SET").arg(space.key("q", rest)).arg("poison")).await;
}

/// Removes a key of queue `q`.
async fn heal(space: &Space, rest: &str) {
    let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", rest))).await;
}

/// Waits until a counter has this value. The inspector cannot read a queue with a poisoned key.
async fn until_stat(space: &Space, counter: &str, value: u64) {
    eventually(&format!("{counter} is {value}"), || async {
        let mut stat = redis::cmd("HGET");
        let found: Option<u64> = space.redis(stat.arg(space.key("q", "stats")).arg(counter)).await;
        found.unwrap_or_default() == value
    })
    .await;
}

/// Returns how many entries are claimed in the normal lane.
async fn claimed(space: &Space) -> u64 {
    let mut pending = redis::cmd("XPENDING");
    pending.arg(space.key("q", "ready:normal")).arg("workers");
    let about: Vec<redis::Value> = space.redis(&mut pending).await;
    redis::from_redis_value(about[0].clone()).unwrap()
}

/// Declares a node dead.
async fn bury_node(space: &Space, name: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut mark = redis::cmd("ZADD");
    mark.arg(format!("{}:{{roster}}:marks", space.name()));
    let _: u64 = space.redis(mark.arg(u64::try_from(now).unwrap()).arg(name)).await;
}

/// Adds an entry that no version can read.
async fn add_rubbish(space: &Space) {
    let mut add = redis::cmd("XADD");
    add.arg(space.key("q", "ready:normal")).arg("*").arg("j").arg("rubbish");
    let _: String = space.redis(&mut add).await;
}

/// A worker of jobs and batches whose handlers end together, once all have started.
#[derive(Clone)]
struct Together {
    started: mpsc::Sender<JobId>,
    end: Arc<Semaphore>,
}

impl Together {
    fn new() -> (Self, mpsc::Receiver<JobId>) {
        let (started, told) = mpsc::channel(1_000);
        (Self { started, end: Arc::new(Semaphore::new(0)) }, told)
    }

    async fn wait(&self, id: JobId) -> Result<()> {
        self.started.send(id).await?;
        self.end.acquire().await?.forget();
        Ok(())
    }
}

impl BatchWorker for Together {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        batch.all().await?;
        self.wait(batch.id()).await?;
        Ok(Done)
    }
}

impl Worker for Together {
    type Job = Number;

    /// The first job fails, the others return a result.
    async fn handle_job(&mut self, job: Number, cx: Context) -> Result<Outcome> {
        self.wait(cx.id()).await?;
        if job.0 == 0 { Err("no".into()) } else { Ok(Outcome::result(&job.0)?) }
    }
}

async fn all_started(told: &mut mpsc::Receiver<JobId>, count: usize) -> Vec<JobId> {
    let mut started = vec![];
    while started.len() < count {
        started.push(within(told.recv()).await.unwrap());
    }
    started
}

#[tokio::test]
async fn of_twelve_batches_that_end_together_one_completes_without_its_poisoned_list() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-batch");
    let (worker, mut told) = Together::new();
    let end = Arc::clone(&worker.end);
    let batcher = Batcher::new("q", worker).limit(1).size(12).timeout(None);
    let rows = batcher.handle(&space.client);
    let node = start(space.node().add(batcher));
    rows.push_many(0..12).await.all().unwrap();
    let started = all_started(&mut told, 12).await;
    let list = format!("batch:sealed:{}", started[5]);
    poison(&space, &list).await;
    end.add_permits(12);
    until_stat(&space, "completed", 12).await;
    let lost = log.errors("it is settled without them");
    assert!(lost.len() == 1 && lost[0].contains("batch"), "{lost:?}");
    assert!(lost[0].contains(&started[5].to_string()) && lost[0].contains("WRONGTYPE"), "{lost:?}");
    let mut lists = redis::cmd("KEYS");
    lists.arg(space.key("q", "batch:sealed:*"));
    let found: Vec<String> = space.redis(&mut lists).await;
    assert_eq!(found, [space.key("q", &list)], "only the poisoned list is left");
    let (limits, long_ago) = (DeadLimits::default(), Timestamp::from_millis(0));
    let partition = Partition::first(QueueName::new("q").unwrap());
    space.client.broker().prune_dead(&partition, limits, long_ago).await.unwrap();
    let found: Vec<String> = space.redis(&mut lists).await;
    assert_eq!(found, [""; 0], "the pruner removes it as well");
    let mut about = redis::cmd("KEYS");
    let about: Vec<String> = space.redis(about.arg(space.key("q", "batch:about:*"))).await;
    let mut waiting = redis::cmd("HGET");
    let waiting: i64 = space.redis(waiting.arg(&about[0]).arg("waiting")).await;
    assert_eq!(waiting, 0, "its entry is no longer counted");
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_cannot_wait_for_its_retry_is_buried_and_its_neighbours_keep_their_results() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-due");
    let (worker, mut told) = Together::new();
    let end = Arc::clone(&worker.end);
    let node = start(space.node().pool(Pool::new("q").size(12).worker(worker)));
    let receipts = space.client.enqueue_many((0..12).map(Number)).await;
    let ids: Vec<JobId> = receipts.into_iter().map(|one| one.unwrap().job).collect();
    all_started(&mut told, 12).await;
    poison(&space, "due").await;
    end.add_permits(12);
    until_stat(&space, "completed", 11).await;
    until_stat(&space, "buried", 1).await;
    for (number, id) in (1_u64..).zip(&ids[1..]) {
        let mut result = redis::cmd("EXISTS");
        let kept: bool = space.redis(result.arg(space.key("q", &format!("result:{id}")))).await;
        assert!(kept, "the result of {number}");
    }
    heal(&space, "due").await;
    let dead = space.dead("q").await;
    assert!(dead.len() == 1 && dead[0].contains("cannot be settled"), "{dead:?}");
    assert_eq!(log.errors("it is buried").len(), 1);
    node.stop().await;
}

#[tokio::test]
async fn a_job_that_cannot_even_be_buried_stays_claimed_while_the_pool_goes_on_and_stops() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-dead");
    let (worker, mut told) = Together::new();
    let end = Arc::clone(&worker.end);
    let once = Policy::default().attempts(1);
    let pool = Pool::new("q").size(12).policy(once).worker(worker);
    let node = start(space.node().pool(pool));
    space.client.enqueue_many((0..12).map(Number)).await;
    all_started(&mut told, 12).await;
    poison(&space, "dead").await;
    end.add_permits(100);
    until_stat(&space, "completed", 11).await;
    eventually("it is given up", || async { !log.errors("neither settled nor buried").is_empty() })
        .await;
    space.client.enqueue_many((20..40).map(Number)).await;
    until_stat(&space, "completed", 31).await;
    node.stop().await;
    assert_eq!(log.errors("neither settled nor buried").len(), 1);
    assert_eq!(all_started(&mut told, 20).await.len(), 20);
    assert!(told.try_recv().is_err(), "the job that was given up ran once");
    assert_eq!(claimed(&space).await, 1);

    // Its node has left a consumer behind, which is rescued when the node counts as dead.
    heal(&space, "dead").await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(1).worker(worker)));
    let (number, cx) = within(told.recv()).await.unwrap();
    assert_eq!((number, cx.fence()), (0, 2));
    space.until_count("q", "completed", 32).await;
    node.stop().await;
}

#[tokio::test]
async fn a_poisoned_entry_of_a_dead_node_does_not_stop_the_rescue_of_its_neighbours() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-rescue");
    let mut ghosts = vec![];
    for name in ["ghost1", "ghost2"] {
        let mut ghost = space.connection("q", name).await;
        space.client.enqueue(Number(1)).await.unwrap();
        // A page of a rescue has at most 50 entries.
        for _ in 0..if name == "ghost1" { 60 } else { 0 } {
            add_rubbish(&space).await;
        }
        space.client.enqueue(Number(2)).await.unwrap();
        let claim = Some((poolder::Lane::Normal, 100));
        let claimed = ghost.exchange(&[], claim, false).await.unwrap().claimed.unwrap();
        assert_eq!(claimed.jobs.len(), 2);
        ghosts.push(ghost);
    }
    poison(&space, "dead").await;
    bury_node(&space, "ghost1").await;
    bury_node(&space, "ghost2").await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(4).worker(worker)));
    for _ in 0..4 {
        within(told.recv()).await.unwrap();
    }
    until_stat(&space, "completed", 4).await;
    until_stat(&space, "rescued", 4).await;
    eventually("ghost2 is removed", || async {
        let names = space.consumers("q").await;
        assert!(names.contains(&"ghost1".into()), "it still holds its rubbish");
        !names.contains(&"ghost2".into())
    })
    .await;
    assert_eq!(claimed(&space).await, 60);
    assert!(log.errors("neither settled nor buried").len() >= 60);
    node.stop().await;
}

/// A worker of an addressed slot that fails on each third job.
fn picky() -> (impl Worker<Job = Number>, mpsc::Receiver<u64>) {
    let (tell, told) = mpsc::channel(1_000);
    let worker = worker_fn(move |job: Number, _: Context| {
        let tell = tell.clone();
        async move {
            tell.send(job.0).await?;
            if job.0 % 3 == 2 { Err("no".into()) } else { Ok::<_, BoxError>(Done) }
        }
    });
    (worker, told)
}

#[tokio::test]
async fn a_slot_goes_on_in_order_behind_a_job_that_cannot_be_settled() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-slot");
    let (worker, mut told) = picky();
    let once = Policy::default().attempts(1);
    let pool = Pool::new("q").size(1).mode(Mode::Phash).policy(once);
    let pool = pool.retry_placement(RetryPlacement::BlockSlot).worker(worker);
    let node = start(space.node().pool(pool));
    let casts = space.client.pool::<Number>("q");
    eventually("registered", || async { casts.size().await.is_ok() }).await;
    poison(&space, "dead").await;
    for number in 0..9 {
        casts.cast(Number(number)).key("key").await.unwrap();
    }
    for number in 0..9 {
        assert_eq!(within(told.recv()).await.unwrap(), number);
    }
    until_stat(&space, "completed", 6).await;
    node.stop().await;
    assert!(told.try_recv().is_err(), "no job ran twice");
    assert_eq!((log.errors("neither settled nor buried").len(), claimed(&space).await), (3, 3));
}

#[tokio::test]
async fn a_slot_is_rescued_in_order_around_an_entry_that_cannot_be_moved() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let space = Space::new("poison-slot-rescue");
    let broker = space.client.broker();
    let (worker, _told) = teller();
    let phash = || Pool::new("q").size(1).mode(Mode::Phash);
    let casts = space.client.pool::<Number>("q");
    let node = start(space.node().pool(phash().worker(worker)));
    eventually("registered", || async { casts.size().await.is_ok() }).await;
    node.stop().await;
    let cast = |number| casts.cast(Number(number)).key("key").into_future();
    cast(1).await.unwrap();
    cast(2).await.unwrap();
    add_rubbish(&space).await;
    for number in 3..7 {
        cast(number).await.unwrap();
    }
    // A node named ghost claims the entries up to job 4, and dies.
    let (place, ghost) = (Partition::first(QueueName::new("q").unwrap()), "ghost".into());
    let AcquireReply::Ours(lease) = broker.acquire_slot(&place, &ghost, None).await.unwrap() else {
        panic!("no other node holds it")
    };
    let request = PollRequest { claim: 5, generation: 1, open: true, ..PollRequest::default() };
    let SlotPoll::Claimed(five) = broker.poll_slot(&lease, &request).await.unwrap().result else {
        panic!("there are seven")
    };
    assert_eq!(five.len(), 5);
    poison(&space, "dead").await;
    bury_node(&space, "ghost").await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(phash().worker(worker)));
    for number in 1..7 {
        let (found, cx) = within(told.recv()).await.unwrap();
        assert_eq!((found, cx.attempt()), (number, 1));
    }
    until_stat(&space, "completed", 6).await;
    assert_eq!((log.errors("neither settled nor buried").len(), claimed(&space).await), (1, 1));
    assert!(space.consumers("q").await.contains(&"ghost".into()));
    let waits: u64 = space.redis(redis::cmd("XLEN").arg(space.key("q", "ready:front"))).await;
    assert_eq!(waits, 0, "each job was moved once");
    // The slot tries again, while it is served.
    let _: u64 = space.redis(redis::cmd("DEL").arg(space.key("q", "dead"))).await;
    eventually("the ghost holds nothing and is removed", || async {
        !space.consumers("q").await.contains(&"ghost".into())
    })
    .await;
    assert_eq!((claimed(&space).await, space.dead("q").await.len()), (0, 1));
    node.stop().await;
}

#[tokio::test]
async fn a_slot_rescues_its_jobs_when_the_server_names_the_consumers_only_later() {
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "unnamed");
    let (broker, queue) = (space.client.broker(), QueueName::new("q").unwrap());
    broker.define_pool(&queue, Mode::Phash, 1).await.unwrap();
    space.client.pool::<Number>("q").cast(Number(1)).await.unwrap();
    let (place, ghost) = (Partition::first(queue), "ghost".into());
    let AcquireReply::Ours(lease) = broker.acquire_slot(&place, &ghost, None).await.unwrap() else {
        panic!("no other node holds it")
    };
    let request = PollRequest { claim: 1, generation: 1, open: true, ..PollRequest::default() };
    let claimed = broker.poll_slot(&lease, &request).await.unwrap().result;
    assert!(matches!(claimed, SlotPoll::Claimed(_)));
    bury_node(&space, "ghost").await;
    // A server that has just started, or lacks a permission, does not name them.
    let rules = ["on", ">pw", "~*", "&*", "+@all", "-xinfo"];
    server.command(&[&["ACL", "SETUSER", "worker"], &rules[..]].concat()).unwrap();
    let url = format!("{}?user=worker&pass=pw", server.url());
    let client = Client::new(Config::new(url).namespace(space.name())).unwrap();
    let (worker, mut told) = teller();
    let pool = Pool::new("q").size(1).mode(Mode::Phash).worker(worker);
    let node = start(Node::builder(client).pool(pool));
    eventually("the slot was acquired, and its consumers were asked for", || async {
        let mut holder = redis::cmd("HGET");
        holder.arg(space.key("q", "lease")).arg("holder");
        let denied = server.command(&["ACL", "LOG"]).unwrap();
        space.redis::<String>(&mut holder).await != "ghost" && denied.contains("xinfo")
    })
    .await;
    server.command(&["ACL", "SETUSER", "worker", "+xinfo"]).unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    until_stat(&space, "completed", 1).await;
    eventually("the ghost is removed", || async {
        !space.consumers("q").await.contains(&"ghost".into())
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn without_a_permission_nothing_is_lost_and_no_more_jobs_are_held_than_there_are_slots() {
    let (log, _logging) = Log::record(tracing::Level::INFO);
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "poison-permission");
    server.command(&["ACL", "SETUSER", "worker", "on", ">pw", "~*", "&*", "+@all"]).unwrap();
    let url = format!("{}?user=worker&pass=pw", server.url());
    let client = Client::new(Config::new(url).namespace(space.name())).unwrap();
    let (worker, mut told) = teller();
    let node = start(Node::builder(client).pool(Pool::new("q").size(2).worker(worker)));
    space.client.enqueue(Number(0)).await.unwrap();
    within(told.recv()).await.unwrap();
    // The node may no longer set keys, which only the ends of jobs with a completion record need.
    server.command(&["ACL", "SETUSER", "worker", "-set"]).unwrap();
    let kept = Duration::from_secs(60);
    let mut ids = vec![];
    for number in 1..3 {
        ids.push(space.client.enqueue(Number(number)).keep_completion(kept).await.unwrap().job);
        within(told.recv()).await.unwrap();
    }
    eventually("both are tried many times", || async {
        ids.iter().all(|id| log.count(&format!("{id}")) > 6)
    })
    .await;
    space.client.enqueue(Number(3)).await.unwrap();
    let tries = log.count("could not be settled yet");
    eventually("they are tried again", || async {
        log.count("could not be settled yet") > tries + 2
    })
    .await;
    assert!(told.try_recv().is_err(), "no slot is left for another job");
    server.command(&["ACL", "SETUSER", "worker", "+set"]).unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 3);
    space.until_count("q", "completed", 4).await;
    for id in ids {
        let key = space.key("q", &format!("result:{id}"));
        assert!(space.redis::<bool>(redis::cmd("EXISTS").arg(key)).await, "its completion is kept");
    }
    assert_eq!(log.errors("settled"), [""; 0]);
    node.stop().await;
}
