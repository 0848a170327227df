//! Pushes into an open list: order, coalescing, groups, limits, tokens.

use std::time::Duration;

use futures_util::future::join_all;
use poolder::{BatcherHandle, Client, Config};
use poolder_devserver::Server;
use serde::{Deserialize, Serialize, Serializer};

use super::{NAME, SHORT, declared, limit};
use crate::harness::{Space, eventually};

/// A handle to the same batcher in another process, which knows the name but not the options.
fn from_another_host(space: &Space) -> BatcherHandle<u64> {
    let config = Config::new(space.url()).namespace(space.name());
    Client::new(config).unwrap().batcher(NAME)
}

#[tokio::test]
async fn entries_gather_in_the_order_of_their_pushes() {
    let space = Space::new("batch-order");
    let rows = declared(&space, limit(1_000)).await;
    for entry in 0..3 {
        rows.push(entry).await.unwrap();
    }
    rows.push_front(9).await.unwrap();
    assert_eq!(rows.push_many(10..13).await.all().unwrap(), 3);
    let list = rows.list(0).await.unwrap();
    assert_eq!((list.entries, list.len), (vec![9, 0, 1, 2, 10, 11, 12], 7));
    assert_eq!(rows.len().await.unwrap(), 7);
    assert_eq!(rows.list(5).await.unwrap().entries, [11, 12]);
    assert!(rows.list(u64::MAX).await.unwrap().entries.is_empty());
    assert!(rows.pop(u64::MAX).await.unwrap_err().is_not_found());

    let turns = declared(&space, limit(1_000)).await.group("turns");
    let (one, two) = (turns.push(1), turns.push_front(2));
    let (three, four) = (turns.push(3), turns.push_front(4));
    let (one, two, three, four) = tokio::join!(one, two, three, four);
    [one, two, three, four].into_iter().collect::<Result<Vec<()>, _>>().unwrap();
    assert_eq!(turns.list(0).await.unwrap().entries, [4, 2, 1, 3], "those that travel together");
}

#[tokio::test]
async fn any_host_looks_takes_out_and_seals() {
    let space = Space::new("batch-hosts");
    let rows = declared(&space, limit(1_000)).await;
    rows.push_many(0..5).await.all().unwrap();
    rows.group("g").push(7).await.unwrap();
    let other = from_another_host(&space);
    assert_eq!(other.len().await.unwrap(), 5);
    assert_eq!(other.pop(1).await.unwrap().entry, 1);
    other.push_front(9).await.unwrap();
    let flushed = other.flush().await.unwrap().unwrap();
    assert_eq!(rows.list_sealed(flushed, 0).await.unwrap(), [9, 0, 2, 3, 4]);
    assert_eq!((rows.len().await.unwrap(), rows.open(10).await.unwrap().len()), (0, 1));
    other.group("g").flush().await.unwrap().unwrap();
    assert!(rows.open(10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_list_is_one_entry() {
    let space = Space::new("batch-list");
    let fruit = space.client.batcher::<Vec<String>>(NAME);
    fruit.declare(limit(10)).await.unwrap();
    fruit.push(vec!["orange".into(), "apple".into()]).await.unwrap();
    assert_eq!(fruit.len().await.unwrap(), 1);
}

#[tokio::test]
async fn pushes_that_meet_keep_their_order_and_are_all_answered() {
    let space = Space::new("batch-meet");
    let rows = declared(&space, limit(1_000_000)).await;
    let pushers = (0..64_u64).map(|pusher| {
        let rows = rows.clone();
        tokio::spawn(async move {
            for at in 0..50 {
                rows.push(pusher * 1_000 + at).await.unwrap();
            }
        })
    });
    for pusher in pushers.collect::<Vec<_>>() {
        pusher.await.unwrap();
    }
    let mut seen = vec![];
    while seen.len() < 3_200 {
        seen.extend(rows.list(seen.len() as u64).await.unwrap().entries);
    }
    for pusher in 0..64 {
        let own: Vec<u64> = seen.iter().copied().filter(|entry| entry / 1_000 == pusher).collect();
        assert_eq!(own, (0..50).map(|at| pusher * 1_000 + at).collect::<Vec<_>>());
    }
}

#[tokio::test]
async fn pushes_that_meet_travel_together() {
    // A server started for this test: its command statistics count every client.
    let server = Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "batch-together");
    let rows = declared(&space, limit(1_000_000)).await;
    rows.push(0).await.unwrap();
    server.command(&["CONFIG", "RESETSTAT"]).unwrap();
    let results = join_all((0..400).map(|entry| rows.push(entry).into_future())).await;
    assert!(results.iter().all(Result::is_ok));
    let stats = server.command(&["INFO", "commandstats"]).unwrap();
    let calls = stats.lines().find_map(|line| line.strip_prefix("cmdstat_evalsha:calls="));
    let calls: u64 = calls.unwrap().split(',').next().unwrap().parse().unwrap();
    assert!(calls <= 4, "{calls} calls for 400 pushes at once");
    assert_eq!(rows.len().await.unwrap(), 401);
}

#[tokio::test]
async fn what_precedes_an_entry_that_cannot_be_written_is_stored() {
    #[derive(Deserialize)]
    struct Picky(u64);
    impl Serialize for Picky {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            match self.0 {
                700 => Err(serde::ser::Error::custom("not this one")),
                number => serializer.serialize_u64(number),
            }
        }
    }
    let space = Space::new("batch-picky");
    declared(&space, limit(300)).await;
    let picky = space.client.batcher::<Picky>(NAME);
    let bulk = picky.push_many((0..1_000).map(Picky)).await;
    assert_eq!((bulk.stored, bulk.unknown, bulk.sealed), (700, 0, 2));
    let error = bulk.all().unwrap_err();
    assert!(error.is_codec() && error.to_string().contains("not this one"), "{error}");
    assert!(picky.push(Picky(700)).await.unwrap_err().is_codec());
    assert_eq!(picky.len().await.unwrap(), 100);
}

#[tokio::test]
async fn a_push_that_is_given_up_before_it_was_sent_is_not_sent() {
    let space = Space::new("batch-given-up");
    let rows = declared(&space, limit(100)).await;
    let pushed = rows.push(1);
    drop(std::future::IntoFuture::into_future(pushed));
    assert!(rows.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_bulk_push_seals_as_many_batches_as_fit() {
    let space = Space::new("batch-bulk");
    let rows = declared(&space, limit(7)).await;
    rows.push(1_000).await.unwrap();
    let bulk = rows.push_many(0..2_000).await;
    assert_eq!((bulk.stored, bulk.sealed, bulk.unknown), (2_000, 2_001 / 7, 0));
    assert_eq!(rows.len().await.unwrap(), 2_001 % 7);
    let sealed = rows.sealed(1_000).await.unwrap();
    assert!(sealed.iter().all(|batch| batch.len == 7), "never above the limit, nor below");
    let sums = rows.sums().await.unwrap();
    assert_eq!((sums.waiting, sums.sealed, sums.sealed_entries), (2_001, 285, 1_995));
}

#[tokio::test]
async fn a_limit_of_one_seals_every_entry() {
    let space = Space::new("batch-one");
    let rows = declared(&space, limit(1)).await;
    assert_eq!(rows.push_many(0..501).await.sealed, 501);
    rows.push(7).await.unwrap();
    assert_eq!(space.ready(NAME).await, 502);
    assert!(rows.is_empty().await.unwrap());
}

#[tokio::test]
async fn a_batch_has_no_more_bytes_than_it_may() {
    let space = Space::new("batch-bytes");
    let text = space.client.batcher::<String>(NAME);
    // A text of 97 characters takes 99 bytes.
    text.declare(limit(100).max_bytes(300)).await.unwrap();
    let bulk = text.push_many((0..100).map(|_| "x".repeat(97))).await;
    assert_eq!((bulk.stored, bulk.sealed), (100, 33));
    let sealed = text.sealed(100).await.unwrap();
    assert!(sealed.iter().all(|batch| batch.len == 3));
    let error = text.push("x".repeat(299)).await.unwrap_err();
    assert!(error.is_too_large() && error.to_string().contains("the most is 300"), "{error}");
    let error = text.push_many(["a".into(), "x".repeat(299)]).await.error.unwrap();
    assert!(error.is_too_large(), "{error}");
}

#[tokio::test]
async fn each_group_gathers_alone_and_there_are_only_so_many() {
    let space = Space::new("batch-groups");
    let rows = declared(&space, limit(2).max_groups(3)).await;
    let group = |name: &str| rows.group(name);
    for entry in 0..3 {
        group("a").push(entry).await.unwrap();
        group("b").push(10 + entry).await.unwrap();
    }
    rows.push(7).await.unwrap();
    let error = group("c").push(8).await.unwrap_err();
    assert!(error.is_full() && error.to_string().contains("3 groups"), "{error}");
    group("a").push(3).await.unwrap();
    group("c").push(8).await.unwrap();
    let mut open: Vec<_> = rows.open(10).await.unwrap();
    open.sort_by(|one, other| one.group.cmp(&other.group));
    let found: Vec<_> = open.iter().map(|batch| (batch.group.as_str(), batch.len)).collect();
    assert_eq!(found, [("", 1), ("b", 1), ("c", 1)]);
    let sealed = rows.sealed(10).await.unwrap();
    let mut groups: Vec<_> = sealed.iter().map(|batch| batch.group.as_str()).collect();
    groups.sort_unstable();
    assert_eq!(groups, ["a", "a", "b"]);
    let nameless = [rows.group("a:b"), space.client.batcher("a b").group("a")];
    for rows in nameless {
        assert!(rows.push(1).await.unwrap_err().is_invalid());
        assert!(rows.push_many([1]).await.all().unwrap_err().is_invalid());
        let error = rows.pop(0).await.unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains("use 1 to"), "{error}");
        assert!(rows.len().await.is_err() && rows.group("fine").flush().await.is_err());
    }
}

#[tokio::test]
async fn only_so_many_entries_wait_and_a_push_can_wait_for_room() {
    let space = Space::new("batch-full");
    let rows = declared(&space, limit(4).max_waiting(10)).await;
    let bulk = rows.push_many(0..25).await;
    assert!(bulk.error.as_ref().is_some_and(poolder::Error::is_full), "{bulk:?}");
    assert_eq!((bulk.stored, bulk.sealed), (10, 2));
    let error = rows.push(1).await.unwrap_err();
    assert!(error.is_full() && error.is_refused() && !error.is_unknown(), "{error}");
    assert!(rows.push(1).wait(SHORT).await.unwrap_err().is_full(), "no handler makes room");
    let bulk = rows.push_many(1..3).wait(SHORT).await;
    assert!(bulk.stored == 0 && bulk.error.is_some_and(|error| error.is_full()));

    let (batcher, mut told) = super::doer();
    let other = rows.clone();
    let waiting = tokio::spawn(async move {
        other.push_many(10..25).wait(Duration::from_secs(60)).await.all().unwrap();
        other.push(25).wait(Duration::from_secs(60)).await.unwrap();
    });
    let node = crate::harness::start(space.node().add(batcher.limit(4).max_waiting(10)));
    waiting.await.unwrap();
    let mut seen = vec![];
    while seen.len() < 24 {
        seen.extend(super::next(&mut told).await.entries);
    }
    assert_eq!(seen, (0..24).collect::<Vec<_>>());
    eventually("two wait", || async { rows.sums().await.unwrap().waiting == 2 }).await;
    node.stop().await;
}

#[tokio::test]
async fn a_push_under_a_token_is_one_however_often_it_is_made() {
    let space = Space::new("batch-token");
    let rows = declared(&space, limit(300)).await;
    let window = Duration::from_secs(60);
    for _ in 0..3 {
        rows.push(1).token("order-7", window).await.unwrap();
        rows.push_many(0..1_000).token("load-1", window).await.all().unwrap();
    }
    rows.push(2).idempotent(window).await.unwrap();
    rows.push(2).idempotent(window).await.unwrap();
    let sums = rows.sums().await.unwrap();
    assert_eq!((sums.waiting, sums.sealed), (1_003, 3));
    // The token of one entry differs from the token of a part of a bulk push, even if both have the
    // same text.
    rows.push(3).token("load-1:0", window).await.unwrap();
    rows.push(3).token("load-1", window).await.unwrap();
    assert_eq!(rows.sums().await.unwrap().waiting, 1_005);
    for bad in ["", "load-1#0", &"x".repeat(101)] {
        assert!(rows.push(1).token(bad, window).await.unwrap_err().is_invalid());
        let bulk = rows.push_many(0..2).token(bad, window).await;
        assert!(bulk.stored == 0 && bulk.error.is_some_and(|error| error.is_invalid()));
    }
}

#[tokio::test]
async fn an_entry_can_be_taken_out_of_the_generation_that_was_seen() {
    let space = Space::new("batch-pop");
    let rows = declared(&space, limit(100)).await;
    rows.push_many(0..10).await.all().unwrap();
    let seen = rows.list(0).await.unwrap();
    let generation = seen.generation.unwrap();
    let popped = rows.pop(3).await.unwrap();
    assert_eq!((popped.entry, popped.generation), (3, generation));
    assert_eq!(rows.pop(8).in_generation(generation).await.unwrap().entry, 9);
    let error = rows.pop(8).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("8 entries gather"), "{error}");
    assert_eq!(rows.list(0).await.unwrap().entries, [0, 1, 2, 4, 5, 6, 7, 8]);

    rows.flush().await.unwrap().unwrap();
    rows.push_many(20..22).await.all().unwrap();
    let error = rows.pop(0).in_generation(generation).await.unwrap_err();
    assert!(error.is_gone() && error.to_string().contains("was sealed"), "{error}");
    assert_ne!(rows.list(0).await.unwrap().generation, Some(generation));
    rows.pop(0).await.unwrap();
    assert_eq!(rows.pop(0).await.unwrap().entry, 21);
    assert!(rows.open(10).await.unwrap().is_empty(), "an empty list does not gather");
    assert!(rows.pop(0).await.unwrap_err().is_not_found());
    assert_eq!(rows.sums().await.unwrap().waiting, 8);
}

#[tokio::test]
async fn options_are_agreed_upon() {
    let space = Space::new("batch-options");
    let rows = space.client.batcher::<u64>(NAME);
    let error = rows.push(1).await.unwrap_err();
    assert!(error.is_not_found() && error.to_string().contains("not declared"), "{error}");
    assert!(rows.flush().await.unwrap_err().is_not_found());
    rows.declare(limit(5)).await.unwrap();
    rows.declare(limit(5)).await.unwrap();
    rows.push(1).await.unwrap();

    // Another process, which has taken the options from the server.
    let theirs = from_another_host(&space);
    theirs.push(2).await.unwrap();
    let error = theirs.declare(limit(3)).await.unwrap_err();
    let text = error.to_string();
    assert!(error.is_invalid() && text.contains("limit is 5 there and 3 here"), "{text}");
    assert!(text.contains("give them revision 1"), "{text}");
    theirs.declare(limit(3).revision(1)).await.unwrap();

    // The first handle follows the options stored now, and cannot restore its older ones.
    rows.push(3).await.unwrap();
    assert_eq!(rows.sealed(9).await.unwrap().len(), 1, "three are full now");
    assert_eq!(rows.declare(limit(5)).await.unwrap().limit, 3);
    let bad = rows.declare(limit(0)).await.unwrap_err();
    assert!(bad.is_invalid(), "{bad}");
}
