//! The commands about addressed slots.

use poolder::prelude::*;

use crate::program::{Number, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_is_looked_at_stopped_by_slot_and_as_a_whole_and_started_again() {
    let program = Program::new("cli-pool");
    let worker = worker_fn(async |_: Number| Ok::<_, BoxError>(Done));
    let pool = Pool::new("q").size(2).mode(Mode::Phash).worker(worker);
    let node = start(Node::builder(program.client()).pool(pool));
    let slots = program.client().pool::<Number>("q");
    eventually("both slots have a holder", || async {
        slots.slots().await.is_ok_and(|slots| slots.iter().all(|slot| slot.node.is_some()))
    })
    .await;

    let shown = program.ok(&["pool", "get", "q"]);
    assert!(shown.contains("state       running\nmode        phash\nslots       2\n"), "{shown}");
    assert_eq!(program.json(&["pool", "get", "q"])["size"], 2);
    assert_eq!(program.ok(&["pool", "stop", "q", "--slot", "1"]), "stopped slot 1 of pool q\n");
    eventually("the slot is stopped", || async {
        slots.slots().await.is_ok_and(|slots| slots[1].stopped)
    })
    .await;
    let shown = program.ok(&["pool", "slots", "q"]);
    let lines: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0], ["SLOT", "STATE", "NODE", "TERM", "JOB", "KIND", "BACKLOG", "DUE"]);
    assert_eq!((lines[1][1], lines[2][1]), ("idle", "stopped"), "{shown}");
    assert_eq!(program.ok(&["pool", "slots", "q", "-o", "ids"]), "0\n1\n");

    assert_eq!(program.ok(&["pool", "stop", "q"]), "stopped pool q\n");
    assert!(program.ok(&["pool", "get", "q"]).contains("state       stopped"));
    let started = program.json(&["pool", "start", "q"]);
    assert_eq!(started, serde_json::json!([{ "done": "started", "queue": "q" }]));
    assert!(program.ok(&["pool", "get", "q"]).contains("state       running"));

    // One of several that is not there: the others are changed, and the exit code tells.
    let done = program.run(&["pool", "stop", "none", "q"]);
    assert_eq!((done.code, done.out.as_str()), (Some(3), "stopped pool q\n"));
    assert!(done.err.contains("none") && done.err.contains("hint: "), "{}", done.err);
    for verb in ["get", "slots", "stop", "start"] {
        program.fails(3, &["pool", verb, "none"]);
        program.fails(2, &["pool", verb, "not a name"]);
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_key_is_told() {
    let program = Program::new("cli-key");
    let worker = worker_fn(async |_: Number| Ok::<_, BoxError>(Done));
    let pool = Pool::new("q").size(2).mode(Mode::Phash).worker(worker);
    let node = start(Node::builder(program.client()).pool(pool));
    let slots = program.client().pool::<Number>("q");
    eventually("both slots have a holder", || async {
        slots.slots().await.is_ok_and(|slots| slots.iter().all(|slot| slot.node.is_some()))
    })
    .await;
    let holder = program.json(&["pool", "key", "q", "customer-7"]);
    let slot = holder["slot"].as_u64().unwrap();
    assert_eq!(program.ok(&["pool", "key", "q", "customer-7", "-o", "ids"]), format!("q.{slot}\n"));
    assert!(program.ok(&["pool", "key", "q", "customer-7"]).contains("customer-7"));
    program.fails(3, &["pool", "key", "none", "customer-7"]);
    node.stop().await;
}
