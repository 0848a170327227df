//! The commands `poolder error` and `poolder history`.

use poolder::prelude::*;

use crate::program::{Failing, Number, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn errors_are_grouped_and_attempts_are_counted() {
    let program = Program::new("cli-past");
    assert_eq!(program.run(&["error", "ls"]).said().0, "");
    assert_eq!(program.run(&["history"]).said().0, "");
    let client = program.client();
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(Failing)));
    for number in 0..3 {
        client.enqueue(Number(number)).policy(Policy::default().attempts(1)).await.unwrap();
    }
    eventually("three are dead", || async {
        client.inspect("q").overview().await.unwrap().dead == 3
    })
    .await;
    // A node writes its last counts when it stops.
    node.stop().await;
    let id = program.ok(&["error", "ls", "-o", "ids"]);
    let shown = program.ok(&["error", "get", id.trim()]);
    assert!(shown.contains("no number today") && shown.contains("\nFROM"), "{shown}");
    assert!(program.ok(&["error", "ls"]).contains("no number today"));
    let past = program.json(&["history", "--queue", "q", "--since", "1h"]);
    assert_eq!(past["series"][0]["total"]["attempts"]["failed"], 3, "{past}");
    let shown = program.ok(&["history"]);
    let words: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[..5], ["q", "number", "-", "3", "3"], "{shown}");
    program.fails(3, &["error", "get", "ffffffffffffffff0"]);
    program.fails(2, &["history", "--since", "soon"]);
}
