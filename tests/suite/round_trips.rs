//! How often a look goes to the server: no more than 12 times, however many slots it reads.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{
    AuditFilter, Budget, Config, Error, Filter, Handle, HistoryRange, JournalFilter, Listing,
    QueueName,
};

use crate::harness::{Number, Space, eventually, start};

/// The most round trips of a look.
const MOST: u64 = 12;
const HOUR: Duration = Duration::from_secs(3_600);

/// Creates a queue, and a pool of so many slots, with ready and due jobs.
async fn fleet(space: &Space, slots: u16) {
    let pool = QueueName::new("keyed").unwrap();
    space.client.broker().define_pool(&pool, Mode::Phash, slots).await.unwrap();
    space.client.enqueue(Number(1)).await.unwrap();
    let pool = space.client.pool::<Number>("keyed");
    for slot in 0..slots {
        pool.slot(slot).cast(Number(1)).await.unwrap();
        pool.slot(slot).cast(Number(2)).after(HOUR).await.unwrap();
    }
}

/// A client whose round trips are counted.
struct Counting {
    client: Client,
    /// The looks and their round trips.
    seen: Vec<(&'static str, u64)>,
}

impl Counting {
    fn new(space: &Space) -> Self {
        let client = Client::new(Config::new(space.url()).namespace(space.name())).unwrap();
        client.broker().count_round_trips();
        Self { client, seen: vec![] }
    }

    fn all(&self) -> u64 {
        self.client.broker().round_trips().iter().flat_map(|of| of.times).sum()
    }

    /// Returns how many round trips a read takes.
    async fn trips<T>(&self, read: impl AsyncFn(&Client) -> Result<T, Error>) -> u64 {
        // Another connection is opened, and introduced, by the first read alone.
        read(&self.client).await.unwrap();
        let before = self.all();
        read(&self.client).await.unwrap();
        self.all() - before
    }

    async fn look<T>(
        &mut self,
        name: &'static str,
        read: impl AsyncFn(&Client) -> Result<T, Error>,
    ) {
        let trips = self.trips(read).await;
        self.seen.push((name, trips));
    }
}

#[tokio::test]
async fn a_look_at_64_slots_takes_hardly_more_round_trips_than_at_one() {
    let (one, many) = (Space::new("trips-one"), Space::new("trips-many"));
    fleet(&one, 1).await;
    fleet(&many, 64).await;
    let status = many.client.status().await.unwrap();
    assert_eq!((status.queues[0].ready, status.queues[0].due), (64, 64), "{status:?}");
    let diagnosis = many.client.doctor().await.unwrap();
    assert_eq!((diagnosis.queues, diagnosis.partitions), (2, 65));

    let (one, many) = (Counting::new(&one), Counting::new(&many));
    let (few, all) = (one.trips(Client::status).await, many.trips(Client::status).await);
    assert!(all <= few + 2, "status: {few} with one slot, {all} with 64");
    let (few, all) = (one.trips(Client::doctor).await, many.trips(Client::doctor).await);
    assert!(all <= few + 4, "doctor: {few} with one slot, {all} with 64");
}

/// Lets jobs run in all slots and die in a queue, and returns a job deep in the lane of the queue.
async fn used(space: &Space) -> Handle {
    fleet(space, 64).await;
    let fails = worker_fn(|_: Number, _: Context| async {
        Err::<Outcome, poolder::BoxError>("no such mailbox".into())
    });
    let once = Policy::default().attempts(1);
    let node = start(space.node().pool(Pool::new("q").policy(once).worker(fails)));
    space.until_count("q", "buried", 1).await;
    node.stop().await;
    let hangs =
        worker_fn(|_: Number, _: Context| std::future::pending::<poolder::Result<Outcome>>());
    let keyed = Pool::new("keyed").size(64).mode(Mode::Phash).worker(hangs);
    let node = start(space.node().pool(keyed));
    eventually("all slots run", || async { space.overview("keyed").await.running() == 64 }).await;
    node.vanish().await;
    space.client.schedule("daily", "0 9 * * *", Number(1)).await.unwrap();
    let many = space.client.enqueue_many((0..5_000).map(Number)).await;
    Handle::from(many[3_000].as_ref().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_look_takes_more_than_twelve_round_trips() {
    let space = Space::new("trips-all");
    let deep = used(&space).await;
    let mut of = Counting::new(&space);
    of.look("status", Client::status).await;
    of.look("doctor", Client::doctor).await;
    of.look("overview", Client::overview).await;
    of.look("nodes", Client::nodes).await;
    of.look("servers", Client::servers).await;
    of.look("metrics", async |client| client.metrics().text().await).await;

    let eight_hours = HistoryRange::last(8 * HOUR);
    of.look("history", async |client| client.history(None, None, eight_hours).await).await;
    of.look("kinds of a queue", async |client| client.history(Some("q"), None, eight_hours).await)
        .await;
    of.look("a kind", async |client| client.history(Some("q"), Some("number"), eight_hours).await)
        .await;
    for days in [3, 42] {
        let range = HistoryRange::last(days * 24 * HOUR);
        of.look("days", async |client| client.history(None, None, range).await).await;
        of.look("days of depths", async |client| client.queue_history(None, range).await).await;
    }
    of.look("error", async |client| {
        let group = client.errors().await?.remove(0);
        client.error_history(group.id, eight_hours).await
    })
    .await;
    of.look("journal", async |client| client.journal(&JournalFilter::default(), None, 100).await)
        .await;
    of.look("audit", async |client| client.audit(&AuditFilter::default(), None, 100).await).await;

    for queue in ["q", "keyed"] {
        of.look("queue", async |client| client.inspect(queue).overview().await).await;
        for listing in [Listing::Ready, Listing::Running, Listing::Due, Listing::Dead] {
            let any = Filter::any();
            let budget = Budget::jobs(50).entries(10_000);
            of.look("listing", async |client| {
                client.inspect(queue).find_where(listing, &any, None, budget).await
            })
            .await;
        }
        of.look("page", async |client| client.inspect(queue).running(None, 500).await).await;
        of.look("page", async |client| client.inspect(queue).due(None, 500).await).await;
    }
    of.look("schedules", async |client| client.schedules("q").list().await).await;

    of.look("pool", async |client| client.pool::<()>("keyed").view().await).await;
    of.look("slots", async |client| client.pool::<()>("keyed").slots().await).await;
    of.look("key", async |client| client.who_holds("keyed", "a key").await).await;

    let running = space.client.inspect("keyed").running(None, 1).await.unwrap().jobs.remove(0);
    let due = space.client.inspect("keyed").due(None, 1).await.unwrap().jobs.remove(0);
    for job in [&deep, &running.handle, &due.handle] {
        of.look("job", async |client| client.job(job).view().await).await;
        of.look("explain", async |client| client.job(job).explain().await).await;
        of.look("blast radius", async |client| client.job(job).blast_radius().await).await;
        let id = job.job;
        of.look("id", async |client| client.find(id).await).await;
        let in_queue = id.in_queue(&job.partition.queue).unwrap();
        of.look("id in queue", async |client| client.job(&in_queue).view().await).await;
    }
    println!("{:?}", of.seen);
    let above: Vec<_> = of.seen.iter().filter(|(_, trips)| *trips > MOST).collect();
    assert!(above.is_empty(), "{above:?} of {:?}", of.seen);
}
