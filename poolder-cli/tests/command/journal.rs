//! The journal: what has happened to the nodes of a fleet.

use poolder::prelude::*;

use crate::program::{Failing, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn the_journal_shows_what_has_happened_to_nodes() {
    let program = Program::new("cli-journal");
    assert_eq!(program.run(&["journal"]).said(), ("", "0 entries\n"));
    let client = program.client();
    let node =
        start(Node::builder(client.clone()).deploy("v7").pool(Pool::new("q").worker(Failing)));
    let written = |event: &'static str| program.json(&["journal", "--event", event]);
    eventually("the node leads", || async { written("leader")[0]["partition"] == "q.0" }).await;
    eventually("the deploy is known", || async { written("deploy")[0]["detail"] == "v7" }).await;
    node.stop().await;

    let shown = program.ok(&["journal", "--since", "8h"]);
    let events: Vec<&str> =
        shown.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert_eq!((events.len(), events[0]), (4, "node_left"), "{shown}");
    let of_two = ["--event", "node_came", "--event", "node_left"];
    let both = program.json(&[&["journal"][..], &of_two].concat());
    assert_eq!(both.as_array().unwrap().len(), 2, "{both}");
    assert_eq!(both[0]["node"], both[1]["node"]);
    assert_eq!(program.json(&["journal", "--about", "q.0"])[0]["event"], "leader");
    let first = program.run(&["journal", "--limit", "3"]);
    let next = first.err.split_whitespace().skip_while(|word| *word != "--before").nth(1).unwrap();
    let rest = program.json(&["journal", "--before", next]);
    assert_eq!(rest.as_array().unwrap().len(), 1, "{rest}");
    let why = program.fails(2, &["journal", "--event", "node_gone"]);
    assert!(why.contains("node_died") && why.contains("rescued"), "{why}");
}
