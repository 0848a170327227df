//! Redis holds rubbish: wherever Poolder reads it, the node goes on, and no readable job is lost or
//! held up.

use std::collections::BTreeSet;
use std::time::Duration;

use poolder::prelude::*;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use serde::{Deserialize, Serialize};

use crate::harness::{Number, RawEntry, Space, eventually, start, teller, within};

/// Values that no correct client writes.
const RUBBISH: &[&[u8]] = &[
    b"",
    b"\x00",
    b"\x03\x00",
    b"\x03\xff\xff",
    b"\x03\x00\x07\x96\x00\x00\x00\x00\x03\xc0",
    b"\x09\x00\x00rubbish",
    b"\xff\xff\xff\xff",
    b"{\"user\":7}",
    b"\xde\xad\xbe\xef\x00\x00\x00",
];

#[tokio::test]
async fn rubbish_among_waiting_jobs_holds_up_none_of_them_and_is_kept_among_the_dead() {
    let space = Space::new("bodies");
    let (due, bodies) = (space.key("q", "due"), space.key("q", "bodies"));
    for (id, body) in RUBBISH.iter().enumerate() {
        space.redis::<u64>(redis::cmd("HSET").arg(&bodies).arg(id).arg(*body)).await;
        space.redis::<u64>(redis::cmd("ZADD").arg(&due).arg(id).arg(id)).await;
    }
    // Times of jobs that do not exist, and scores that are no valid times.
    for score in ["1", "-inf", "1e300", "+inf", "2.5"] {
        let member = format!("absent {score}");
        space.redis::<u64>(redis::cmd("ZADD").arg(&due).arg(score).arg(member)).await;
    }
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    space.client.enqueue(Number(1)).after(Duration::from_millis(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    let all = RUBBISH.len() as u64;
    space.until_count("q", "buried", all).await;
    let dead: Vec<Vec<u8>> =
        space.redis(redis::cmd("HVALS").arg(space.key("q", "dead:bodies"))).await;
    for body in RUBBISH {
        let kept =
            |record: &Vec<u8>| body.is_empty() || record.windows(body.len()).any(|w| w == *body);
        // A readable envelope head was removed; the bytes after it are kept.
        let split = |record: &Vec<u8>| {
            body.len() > 3 && record.windows(body.len() - 3).any(|w| w == &body[3..])
        };
        assert!(dead.iter().any(|record| kept(record) || split(record)), "{body:?}");
    }
    assert_eq!(space.redis::<u64>(redis::cmd("HLEN").arg(&bodies)).await, 0);
    node.stop().await;
    assert_eq!(space.ready("q").await, 0);
}

#[tokio::test]
async fn whatever_waits_for_its_time_is_run_or_buried_but_never_stays_or_vanishes() {
    let space = Space::new("promote");
    let (due, bodies) = (space.key("q", "due"), space.key("q", "bodies"));
    let (worker, _told) = teller();
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    let client = redis::Client::open(space.url()).unwrap();
    let mut connection = client.get_multiplexed_async_connection().await.unwrap();
    let body = prop::collection::vec(any::<u8>(), 0..64);
    // The first bytes decide how an entry is read: lanes and lengths that are nearly valid are
    // tried more often.
    let near = (0..7_u8, 0..2_u8, 0..80_u8, body.clone())
        .prop_map(|(lane, high, low, rest)| [vec![lane, high, low], rest].concat());
    let strategy = prop::collection::vec(prop_oneof![body, near], 200);
    let mut runner = TestRunner::deterministic();
    let all = strategy.new_tree(&mut runner).unwrap().current();
    let mut pipe = redis::pipe();
    for (id, body) in all.iter().enumerate() {
        pipe.cmd("HSET").arg(&bodies).arg(id).arg(body).ignore();
        pipe.cmd("ZADD").arg(&due).arg(id).arg(id).ignore();
    }
    pipe.exec_async(&mut connection).await.unwrap();
    space.until_count("q", "buried", all.len() as u64).await;
    assert_eq!((space.due("q").await, space.ready("q").await), (0, 0));
    assert_eq!(space.dead("q").await.len(), all.len());
    node.stop().await;
}

#[tokio::test]
async fn a_body_that_nothing_waits_for_does_not_stand_in_for_a_job() {
    let space = Space::new("orphan");
    let job = || space.client.enqueue(Number(7)).id("seven").after(Duration::from_millis(1));
    let id = job().await.unwrap().job;
    let due = space.key("q", "due");
    // The state that an interrupted script leaves behind: a body without a due time.
    space.redis::<u64>(redis::cmd("DEL").arg(&due)).await;
    assert_eq!(job().await.unwrap().job, id);
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 7);
    node.stop().await;
}

#[tokio::test]
async fn rubbish_in_the_lease_leaves_no_partition_without_a_leader() {
    let far = "9007199254740991";
    let cases: [&[(&str, &str)]; 5] = [
        &[("holder", "x"), ("term", "many"), ("until", "soon")],
        &[("holder", "x"), ("term", "1"), ("until", far)],
        &[("holder", ""), ("term", ""), ("until", "")],
        &[("holder", "x"), ("term", "nan"), ("until", "inf")],
        &[("nothing", "known")],
    ];
    for fields in cases {
        let space = Space::new("lease");
        let mut set = redis::cmd("HSET");
        set.arg(space.key("q", "lease")).arg(fields);
        space.redis::<u64>(&mut set).await;
        let (worker, mut told) = teller();
        let node = start(space.node().pool(Pool::new("q").worker(worker)));
        space.client.enqueue(Number(1)).after(Duration::from_millis(1)).await.unwrap();
        assert_eq!(within(told.recv()).await.unwrap().0, 1, "{fields:?}");
        node.stop().await;
    }
}

#[tokio::test]
async fn rubbish_in_the_roster_keeps_no_node_from_working() {
    let space = Space::new("roster");
    let roster = |name: &str| format!("{}:{{roster}}:{name}", space.name());
    let names: [&[u8]; 5] = [b"", b"\xff\xfe", b"\x00", b"a b\n", &[0x80; 300]];
    for (name, score) in names.iter().zip(["-inf", "0", "1.5", "+inf", "1"]) {
        for set in ["nodes", "marks"] {
            let mut add = redis::cmd("ZADD");
            space.redis::<u64>(add.arg(roster(set)).arg(score).arg(*name)).await;
        }
        let mut about = redis::cmd("HSET");
        space.redis::<u64>(about.arg(roster("about")).arg(*name).arg(b"\xc1{".as_slice())).await;
    }
    // Marked as just declared dead: every heartbeat returns such marks.
    for name in names {
        let mut add = redis::cmd("ZADD");
        space.redis::<u64>(add.arg(roster("marks")).arg("4102444800000").arg(name)).await;
    }
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    space.client.enqueue(Number(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    eventually("names that are not text are gone", || async {
        let mut score = redis::cmd("ZSCORE");
        score.arg(roster("nodes")).arg(b"\xff\xfe".as_slice());
        space.redis::<Option<f64>>(&mut score).await.is_none()
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn a_consumer_whose_name_is_not_text_does_not_keep_the_dead_from_being_rescued() {
    let space = Space::new("consumer");
    let key = space.key("q", "ready:normal");
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg(&key).arg("workers").arg("0").arg("MKSTREAM");
    space.redis::<()>(&mut create).await;
    for (number, consumer) in [(1, b"\xff\xfe".as_slice()), (2, b"gone")] {
        space.client.enqueue(Number(number)).await.unwrap();
        let mut claim = redis::cmd("XREADGROUP");
        claim.arg("GROUP").arg("workers").arg(consumer).arg("COUNT").arg(1);
        space.redis::<redis::Value>(claim.arg("STREAMS").arg(&key).arg(">")).await;
    }
    let marks = format!("{}:{{roster}}:marks", space.name());
    space.redis::<u64>(redis::cmd("ZADD").arg(marks).arg("4102444800000").arg("gone")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    node.stop().await;
}

#[tokio::test]
async fn a_node_that_died_before_the_clock_was_set_back_is_found_dead() {
    let space = Space::new("clock");
    let key = space.key("q", "ready:normal");
    space.client.enqueue(Number(1)).await.unwrap();
    let mut create = redis::cmd("XGROUP");
    space.redis::<()>(create.arg("CREATE").arg(&key).arg("workers").arg("0")).await;
    let mut claim = redis::cmd("XREADGROUP");
    claim.arg("GROUP").arg("workers").arg("gone").arg("COUNT").arg(1);
    space.redis::<redis::Value>(claim.arg("STREAMS").arg(&key).arg(">")).await;
    // The last heartbeat of this node lies an hour ahead of the server's clock.
    let ahead = poolder::Timestamp::now() + Duration::from_secs(3600);
    let nodes = format!("{}:{{roster}}:nodes", space.name());
    let mut add = redis::cmd("ZADD");
    space.redis::<u64>(add.arg(nodes).arg(ahead.millis()).arg("gone")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    node.stop().await;
}

#[tokio::test]
async fn counters_that_are_no_numbers_hold_up_nothing() {
    let space = Space::new("stats");
    let stats = space.key("q", "stats");
    for counter in ["completed", "retried", "retrying", "buried", "dead_dropped"] {
        let mut set = redis::cmd("HSET");
        space.redis::<u64>(set.arg(&stats).arg(counter).arg("lots")).await;
    }
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let tell = tell.clone();
        async move {
            tell.send((job.0, cx.attempt())).await?;
            if job.0 == 3 && cx.attempt() == 1 {
                Err("once".into())
            } else {
                Ok::<_, BoxError>(Done)
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(1)));
    for number in 1..=4 {
        space.client.enqueue(Number(number)).policy(policy.clone()).await.unwrap();
    }
    let mut runs = vec![];
    while runs.len() < 5 {
        runs.push(within(told.recv()).await.unwrap());
    }
    runs.sort_unstable();
    assert_eq!(runs, [(1, 1), (2, 1), (3, 1), (3, 2), (4, 1)]);
    eventually("everything is settled", || async { space.ready("q").await == 0 }).await;
    node.stop().await;
    assert_eq!(space.count("q", "completed").await, 4, "counted from nothing again");
    assert_eq!(space.count("q", "retried").await, 1);
    // Even a key of another type must not stop the node.
    space.redis::<()>(redis::cmd("SET").arg(&stats).arg("mine")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    space.client.enqueue(Number(9)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 9);
    eventually("it is settled", || async {
        space.redis::<u64>(redis::cmd("XLEN").arg(space.key("q", "ready:normal"))).await == 0
    })
    .await;
    node.stop().await;
}

#[tokio::test]
async fn rubbish_on_the_control_channel_is_not_heard() {
    let space = Space::new("control");
    let control = space.key("q", "control");
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    eventually("the node listens", || async {
        let mut count = redis::cmd("PUBSUB");
        let reply: (String, u64) = space.redis(count.arg("NUMSUB").arg(&control)).await;
        reply.1 > 0
    })
    .await;
    for rubbish in [b"".as_slice(), b"\xff\xfe", b"due ", b"lease\0", &[b'x'; 1 << 16]] {
        space.redis::<u64>(redis::cmd("PUBLISH").arg(&control).arg(rubbish)).await;
    }
    for _ in 0..200 {
        space.redis::<u64>(redis::cmd("PUBLISH").arg(&control).arg("due")).await;
    }
    space.client.enqueue(Number(1)).after(Duration::from_millis(1)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 1);
    node.stop().await;
}

#[tokio::test]
async fn an_entry_that_could_be_run_but_never_settled_is_buried_instead() {
    let space = Space::new("unsettled");
    let key = space.key("q", "ready:normal");
    space.client.enqueue(Number(1)).await.unwrap();
    let entries: Vec<RawEntry> =
        space.redis(redis::cmd("XRANGE").arg(&key).arg("-").arg("+")).await;
    let envelope = entries[0].1[0].1.clone();
    space.redis::<u64>(redis::cmd("XDEL").arg(&key).arg(&entries[0].0)).await;
    let counters = b"\x96\x00\x01\x01\x00\x03\xc0".as_slice();
    for before in [("c", counters), ("x", b"1")] {
        let mut add = redis::cmd("XADD");
        add.arg(&key).arg("*").arg(before.0).arg(before.1).arg("j").arg(&envelope);
        space.redis::<String>(&mut add).await;
    }
    // Pending for a dead node, so that the rescue of this entry must end, too.
    let mut create = redis::cmd("XGROUP");
    create.arg("CREATE").arg(&key).arg("workers").arg("0");
    space.redis::<()>(&mut create).await;
    let mut claim = redis::cmd("XREADGROUP");
    claim.arg("GROUP").arg("workers").arg("gone").arg("COUNT").arg(1);
    space.redis::<redis::Value>(claim.arg("STREAMS").arg(&key).arg(">")).await;
    let marks = format!("{}:{{roster}}:marks", space.name());
    space.redis::<u64>(redis::cmd("ZADD").arg(marks).arg("4102444800000").arg("gone")).await;
    let (worker, mut told) = teller();
    let node = start(space.node().pool(Pool::new("q").worker(worker)));
    space.until_count("q", "buried", 2).await;
    assert!(space.dead("q").await.join("\n").contains("not the entry's first"));
    space.client.enqueue(Number(2)).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap().0, 2);
    node.stop().await;
    assert_eq!(space.ready("q").await, 0);
}

#[tokio::test]
async fn a_job_enqueued_again_while_it_runs_waits_beside_its_own_retry() {
    let space = Space::new("again");
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let (go, gone) = tokio::sync::watch::channel(false);
    let worker = worker_fn(move |job: Number, cx: Context| {
        let (tell, mut gone) = (tell.clone(), gone.clone());
        async move {
            tell.send((job.0, cx.attempt())).await?;
            gone.wait_for(|gone| *gone).await?;
            if job.0 == 1 && cx.attempt() == 1 {
                Err("once".into())
            } else {
                Ok::<_, BoxError>(Done)
            }
        }
    });
    let node = start(space.node().pool(Pool::new("q").size(2).worker(worker)));
    let policy = Policy::default().backoff(Backoff::Fixed(Duration::from_millis(1)));
    space.client.enqueue(Number(1)).id("mine").policy(policy).await.unwrap();
    assert_eq!(within(told.recv()).await.unwrap(), (1, 1));
    space.client.enqueue(Number(2)).id("mine").after(Duration::from_millis(300)).await.unwrap();
    go.send_replace(true);
    let seen =
        BTreeSet::from([within(told.recv()).await.unwrap(), within(told.recv()).await.unwrap()]);
    assert_eq!(seen, BTreeSet::from([(1, 2), (2, 1)]));
    space.until_count("q", "completed", 2).await;
    node.stop().await;
}

#[tokio::test]
async fn a_suspect_that_cannot_start_goes_back_and_is_not_blamed_for_its_neighbour() {
    #[derive(Serialize, Deserialize, Job)]
    #[job(kind = "number", queue = "other")]
    struct Other(u64);

    let server = poolder_devserver::Server::start().unwrap_or_else(|error| panic!("{error}"));
    let space = Space::on(server.url(), "suspects");
    let (tell, mut told) = tokio::sync::mpsc::channel(100);
    let (go, gone) = tokio::sync::watch::channel(false);
    let first = worker_fn({
        let tell = tell.clone();
        move |_: Number, _: Context| {
            let (tell, mut gone) = (tell.clone(), gone.clone());
            async move {
                tell.send("first").await?;
                gone.wait_for(|gone| *gone).await?;
                Ok::<_, BoxError>(Done)
            }
        }
    });
    let second = worker_fn(move |_: Other, _: Context| {
        let tell = tell.clone();
        async move {
            tell.send("second").await?;
            Ok::<_, BoxError>(Done)
        }
    });
    let node = space.node();
    let node = node.pool(Pool::new("q").size(2).worker(first));
    let node = start(node.pool(Pool::new("other").size(2).worker(second)));
    // Both pools wait with an empty claim on all their lanes.
    eventually("both pools wait", || async {
        let clients: String = space.redis(redis::cmd("CLIENT").arg("LIST")).await;
        clients.lines().filter(|line| line.contains("cmd=xreadgroup")).count() >= 2
    })
    .await;
    let suspect = async |queue: &str| {
        let mut add = redis::cmd("XADD");
        add.arg(space.key(queue, "ready:suspect")).arg("*");
        add.arg("kind").arg("number").arg("payload").arg("1");
        add.arg("c").arg(b"\x96\x00\x02\x02\x00\x03\xc0".as_slice());
        space.redis::<String>(&mut add).await;
    };
    suspect("q").await;
    assert_eq!(within(told.recv()).await, Some("first"));
    suspect("other").await;
    space.until_count("other", "handed_back", 1).await;
    let mut pending = redis::cmd("XPENDING");
    pending.arg(space.key("other", "ready:suspect")).arg("workers");
    let pending: redis::Value = space.redis(&mut pending).await;
    assert!(
        matches!(&pending, redis::Value::Array(list) if list[0] == redis::Value::Int(0)),
        "{pending:?}"
    );
    assert!(told.try_recv().is_err(), "one suspect runs in a node at a time");
    go.send_replace(true);
    assert_eq!(within(told.recv()).await, Some("second"));
    space.until_count("other", "completed", 1).await;
    node.stop().await;
    assert_eq!(space.count("other", "handed_back").await, 1);
}
