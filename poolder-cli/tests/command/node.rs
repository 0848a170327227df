//! The commands about nodes.

use poolder::prelude::*;

use crate::program::{Number, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_are_listed_and_looked_into_by_the_beginning_of_a_name() {
    let program = Program::new("cli-node");
    assert_eq!(program.run(&["node", "ls"]).said(), ("", "no node lives\n"));
    let client = program.client();
    let worker = worker_fn(async |_: Number| Ok::<_, BoxError>(Done));
    let pool = Pool::new("q").size(3).worker(worker);
    let node = start(Node::builder(client.clone()).pool(pool).deploy("v42"));
    eventually("the node lives", || async { client.nodes().await.unwrap().len() == 1 }).await;
    let name = client.nodes().await.unwrap()[0].name.clone();
    assert_eq!(program.ok(&["node", "ls", "-o", "ids"]), format!("{name}\n"));
    let shown = program.ok(&["node", "ls"]);
    let words: Vec<&str> = shown.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!((words[0], words[1], words[2], words[5]), (&*name, "alive", "v42", "3"), "{shown}");
    let shown = program.ok(&["node", "get", &name[..name.len() - 3]]);
    assert!(shown.contains("\nQUEUE  KIND    VERSION\nq      number        1\n"), "{shown}");
    assert_eq!(program.json(&["node", "get", &name])["info"]["deploy"], "v42");
    assert!(program.fails(3, &["node", "get", "none"]).contains("hint: `poolder node ls`"));
    assert!(program.ok(&["node", "stop", &name, "--dry-run"]).starts_with("this would stop "));
    let both = program.fails(5, &["node", "quiet", &name, "none"]);
    assert!(both.contains("quiet 2 nodes\nhint: add --yes"), "{both}");
    assert!(program.fails(1, &["node", "forget", &name]).contains("stop it instead"));
    assert!(program.fails(3, &["node", "quiet", "none"]).contains("hint: `poolder node ls`"));
    assert_eq!(program.ok(&["node", "quiet", &name[..8]]), format!("quieted {name}\n"));
    let shown = program.ok(&["node", "ls"]);
    assert_eq!(shown.lines().nth(1).unwrap().split_whitespace().nth(1), Some("quiet"), "{shown}");
    // The node ends by itself.
    assert_eq!(program.json(&["node", "stop", &name])[0]["done"], "stopping");
    node.ended().await;
    assert_eq!(program.run(&["node", "ls"]).said(), ("", "no node lives\n"));
}
