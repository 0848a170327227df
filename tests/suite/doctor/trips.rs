//! The looks at a whole fleet, and how often they go to the server.

use std::time::Duration;

use poolder::QueueName;
use poolder::prelude::*;

use crate::harness::{Number, Space};

const HOUR: Duration = Duration::from_secs(3_600);

/// Creates a queue, and a pool of so many slots, with ready, due and running jobs.
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

/// Returns how many round trips a read takes.
async fn trips<T>(space: &Space, read: impl AsyncFn(&Client) -> Result<T, poolder::Error>) -> u64 {
    // Another connection is opened, and introduced, by the first read alone.
    read(&space.client).await.unwrap();
    let broker = space.client.broker();
    broker.count_round_trips();
    let all = || broker.round_trips().iter().flat_map(|of| of.times).sum::<u64>();
    let before = all();
    read(&space.client).await.unwrap();
    all() - before
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

    let (few, all) = (trips(&one, Client::status).await, trips(&many, Client::status).await);
    assert!(all <= few + 2, "status: {few} with one slot, {all} with 64");
    let (few, all) = (trips(&one, Client::doctor).await, trips(&many, Client::doctor).await);
    assert!(all <= few + 4, "doctor: {few} with one slot, {all} with 64");
}
