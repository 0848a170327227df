//! Rubbish in the records of schedules, batches and addressed pools: readable records beside it
//! keep working.

use std::time::Duration;

use poolder::prelude::*;
use poolder::{Batch, BatchWorker, Batcher, Result};
use tokio::sync::mpsc;

use crate::harness::{Number, Space, eventually, start, teller, within};

const WORDS: [&[u8]; 6] = [b"", b"x", b"\xff\xfe", b"-1", b"1 2 3 4 5", b"9999999999999999999999"];

#[tokio::test]
async fn rubbish_among_schedules_keeps_no_other_from_ticking() {
    let space = Space::new("rubbish-ticks");
    let [records, states, next] =
        ["schedules", "schedules:state", "schedules:next"].map(|rest| space.key("q", rest));
    for (at, word) in WORDS.iter().enumerate() {
        let name = format!("rubbish{at}");
        space.redis::<u64>(redis::cmd("HSET").arg(&records).arg(&name).arg(*word)).await;
        space.redis::<u64>(redis::cmd("HSET").arg(&states).arg(&name).arg(*word)).await;
        space.redis::<u64>(redis::cmd("ZADD").arg(&next).arg(at).arg(&name)).await;
    }
    // States and names that a script accepts but a node cannot read.
    let sound = space.client.schedule("sound", "0 0 1 1 *", Number(1)).await.unwrap();
    let record: Vec<u8> = space.redis(redis::cmd("HGET").arg(&records).arg("sound")).await;
    let digits = "99999999999999999999999999 1 0 0 0 -";
    let state = format!("{} 1 0 0 0 -", sound.revision);
    for (name, state) in [(b"digits".as_slice(), digits), (b"\xff\xfe", &state)] {
        space.redis::<u64>(redis::cmd("HSET").arg(&records).arg(name).arg(&record)).await;
        space.redis::<u64>(redis::cmd("HSET").arg(&states).arg(name).arg(state)).await;
        space.redis::<u64>(redis::cmd("ZADD").arg(&next).arg(1).arg(name)).await;
    }
    // A record without a state, and a time without a record.
    space.redis::<u64>(redis::cmd("HSET").arg(&records).arg("alone").arg("x")).await;
    space.redis::<u64>(redis::cmd("ZADD").arg(&next).arg("-inf").arg("absent")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    space.client.schedule("good", Duration::from_millis(50), Number(7)).await.unwrap();
    for _ in 0..3 {
        assert_eq!(within(told.recv()).await.unwrap().0, 7);
    }
    node.stop().await;
    let left: Vec<Vec<u8>> = space.redis(redis::cmd("ZRANGE").arg(&next).arg(0).arg(-1)).await;
    assert_eq!(left.len(), 2, "schedules that cannot tick leave the due set: {left:?}");
}

#[tokio::test]
async fn rubbish_about_a_slot_and_its_members_keeps_no_node_from_taking_it() {
    let cases: [&[(&str, &str)]; 4] = [
        &[("holder", "x"), ("term", "many"), ("until", "soon")],
        &[("holder", "x"), ("term", "1"), ("until", "nan")],
        &[("holder", ""), ("term", ""), ("until", "")],
        &[("nothing", "known")],
    ];
    for fields in cases {
        let space = Space::new("rubbish-slot");
        let mut set = redis::cmd("HSET");
        space.redis::<u64>(set.arg(space.key("q", "lease")).arg(fields)).await;
        for word in WORDS {
            let mut add = redis::cmd("ZADD");
            add.arg(space.key("q", "members")).arg("1").arg(word);
            space.redis::<u64>(&mut add).await;
        }
        let (worker, mut told) = teller();
        let pool = Pool::new("q").size(1).mode(Mode::Phash).worker(worker);
        let node = start(space.node().pool(pool));
        let pool = space.client.pool::<Number>("q");
        eventually("registered", || async { pool.size().await.is_ok() }).await;
        pool.cast(Number(1)).key("a").await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().0, 1, "{fields:?}");
        node.stop().await;
    }
}

#[derive(Clone)]
struct Tell(mpsc::Sender<u64>);

impl BatchWorker for Tell {
    type Entry = u64;

    async fn handle_batch(&mut self, batch: &mut Batch<u64>, _: Context) -> Result<Outcome> {
        for (_, entry) in batch.all().await? {
            self.0.send(entry).await?;
        }
        Ok(Done)
    }
}

#[tokio::test]
async fn rubbish_among_batches_keeps_no_other_from_being_sealed() {
    let space = Space::new("rubbish-batch");
    let due = space.key("rows", "due");
    let timers = ["timer:batch:seal:", "timer:batch:seal:rows:x:", "timer:batch:seal:rows:5:g"];
    for timer in timers.into_iter().chain(["timer:batch:seal:absent:7:", "timer:of:absent"]) {
        space.redis::<u64>(redis::cmd("ZADD").arg(&due).arg("1").arg(timer)).await;
    }
    for (at, word) in WORDS.iter().enumerate() {
        let group = format!("g{at}");
        let mut open = redis::cmd("HSET");
        open.arg(space.key("rows", "batch:open:rows")).arg(&group).arg(*word);
        space.redis::<u64>(&mut open).await;
        let mut index = redis::cmd("HSET");
        index.arg(space.key("rows", "batch:index")).arg(*word).arg(*word);
        space.redis::<u64>(&mut index).await;
    }
    let (tell, mut told) = mpsc::channel(100);
    let rows = Batcher::new("rows", Tell(tell)).limit(10).timeout(Duration::from_millis(50));
    let node = start(space.node().add(rows));
    let handle = space.client.batcher::<u64>("rows");
    eventually("declared", || async { handle.push(0).await.is_ok() }).await;
    for group in 0..WORDS.len() {
        let entry = 1 + group as u64;
        handle.group(format!("g{group}")).push(entry).await.unwrap();
    }
    let mut got = vec![];
    while got.len() <= WORDS.len() {
        got.push(within(told.recv()).await.unwrap());
    }
    got.sort_unstable();
    assert_eq!(got, (0..=WORDS.len() as u64).collect::<Vec<_>>());
    node.stop().await;
}
