//! How often a page goes to the server: no more than 12 times, however many slots its queues have.
//! The page of the server itself measures its answers with more.

use poolder::prelude::*;
use poolder::{BatchOptions, QueueName};
use poolder_core::policy::dispatch::Mode as PoolMode;

use crate::world::{Welcome, World, die, page, welcome};

const MOST: u64 = 12;

fn trips(client: &Client) -> u64 {
    client.broker().round_trips().iter().flat_map(|of| of.times).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_needs_at_most_twelve_round_trips() {
    let world = World::new("web-trips");
    die(&world, "ana").await;
    let client = &world.client;
    let pool = QueueName::new("keyed").unwrap();
    client.broker().define_pool(&pool, PoolMode::Phash, 16).await.unwrap();
    for slot in 0..16 {
        client.pool::<Welcome>("keyed").slot(slot).cast(welcome("bob")).await.unwrap();
    }
    client.enqueue(welcome("ana")).await.unwrap();
    client.schedule("digest", "30 7 * * *", welcome("ana")).await.unwrap();
    client.batcher::<u64>("rows").declare(BatchOptions::default()).await.unwrap();
    let ready = client.inspect("mail").ready(Lane::Normal, None, 1).await.unwrap();
    let dead = client.inspect("mail").dead(None, 1).await.unwrap();
    let error = client.errors().await.unwrap()[0].id;
    client.broker().count_round_trips();
    let mut wrong = vec![];
    for path in [
        "/".to_owned(),
        "/queues?sort=dead".into(),
        "/queues/mail?state=ready".into(),
        "/queues/mail?state=dead&where=payload.to%3Dzoe".into(),
        "/queues/keyed?state=ready&where=payload.to%3Dzoe".into(),
        "/queues/mail/keys".into(),
        "/jobs?state=ready".into(),
        "/jobs?state=dead".into(),
        format!("/job/{}", ready.jobs[0].handle),
        format!("/job/{}", dead.jobs[0].handle),
        format!("/blast/{}", dead.jobs[0].handle),
        "/errors".into(),
        format!("/errors/{error}"),
        format!("/errors/change?action=retry&error={error}"),
        "/schedules".into(),
        "/schedules/form?queue=mail&schedule=digest".into(),
        "/batches".into(),
        "/pools".into(),
        "/pools/keyed?key=7".into(),
        "/nodes".into(),
        "/kinds".into(),
        "/enqueue?queue=mail&kind=mail.welcome".into(),
        "/journal".into(),
        "/audit".into(),
        "/confirm?action=drain&queue=mail&back=/queues/mail".into(),
    ] {
        // A dashboard of its own has no look that another page has made.
        let router = world.router();
        let before = trips(client);
        page(&router, &path).await;
        let made = trips(client) - before;
        if made > MOST {
            wrong.push(format!("{path} goes to the server {made} times"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}
