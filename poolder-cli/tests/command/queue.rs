//! The commands about queues.

use std::time::Duration;

use poolder::AuditFilter;
use poolder::prelude::*;

use crate::program::{Failing, Number, Program, eventually, start};

#[tokio::test]
async fn queues_are_listed_looked_into_paused_and_resumed() {
    let program = Program::new("cli-queue");
    let nothing = program.run(&["queue", "ls"]);
    assert_eq!(nothing.said().0, "");
    assert!(nothing.err.starts_with("no queues"), "{}", nothing.err);
    assert_eq!(program.ok(&["queue", "ls", "-o", "ndjson"]), "");

    let client = program.client();
    for number in 0..1_234 {
        client.enqueue(Number(number)).await.unwrap();
    }
    client.enqueue(Number(1)).lane(Lane::High).queue("other").await.unwrap();
    client.enqueue(Number(1)).after(Duration::from_secs(3_600)).await.unwrap();
    let shown = program.ok(&["queue", "ls"]);
    let words: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(
        words[0],
        ["QUEUE", "STATE", "READY", "OLDEST", "RUNNING", "LATER", "RETRY", "DEAD", "LEADER"]
    );
    assert_eq!(words[1][..4], ["other", "no", "leader", "1"], "{shown}");
    assert_eq!(words[2][..4], ["q", "no", "leader", "1,234"], "{shown}");
    assert_eq!(words[2][5..], ["-", "1", "-", "-", "-"], "{shown}");
    assert_eq!(program.ok(&["queue", "ls", "-o", "ids"]), "other\nq\n");
    let lines = program.ok(&["queue", "ls", "-o", "ndjson"]);
    assert_eq!(lines.lines().count(), 2);
    assert!(lines.lines().all(|line| serde_json::from_str::<serde_json::Value>(line).is_ok()));

    let shown = program.ok(&["queue", "get", "q"]);
    let lines: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.contains(&vec!["waits", "for", "a", "slot", "1,234"]), "{shown}");
    assert!(lines.iter().any(|line| line.starts_with(&["normal", "1,234", "-"])), "{shown}");
    assert_eq!(program.json(&["queue", "get", "q"])["due"], 1);

    assert_eq!(program.ok(&["queue", "pause", "q", "other"]), "paused q\npaused other\n");
    assert_eq!(program.ok(&["queue", "pause", "q"]), "paused q, which it was already\n");
    assert!(program.ok(&["queue", "ls"]).contains("paused"));
    let mut audit = client.audit(&AuditFilter::default(), None, 1).await.unwrap().entries;
    let record = audit.remove(0).record;
    assert_eq!(
        (&*record.action, &*record.target, &*record.via),
        ("queue.pause", "other", "command")
    );
    assert!(!record.actor.is_empty() && record.reason.is_empty());
    assert_eq!(
        program.json(&["queue", "resume", "q", "--actor", "ann", "--reason", "mended"]),
        serde_json::json!([{ "done": "resumed", "queue": "q", "changed": true }])
    );
    let resumed = AuditFilter::default().actor("ann");
    let entry = client.audit(&resumed, None, 1).await.unwrap().entries.remove(0);
    assert_eq!((&*entry.record.action, &*entry.record.reason), ("queue.resume", "mended"));
    // A mistyped name is no success.
    for verb in ["get", "pause", "resume", "drain", "purge"] {
        let said = program.fails(3, &["queue", verb, "qq"]);
        assert!(said.contains("hint: `poolder queue ls`"), "{said}");
        program.fails(2, &["queue", verb, "not a name"]);
    }
    program.fails(3, &["queue", "resize", "q", "8"]);
    program.fails(2, &["queue", "resize", "q", "0"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_drained_and_what_is_dead_is_purged_after_a_confirmation() {
    let program = Program::new("cli-drain");
    let client = program.client();
    let node = Node::builder(client.clone()).pool(Pool::new("q").worker(Failing));
    let node = start(node);
    for number in 0..3 {
        client.enqueue(Number(number)).policy(Policy::default().attempts(1)).await.unwrap();
    }
    eventually("three are dead", || async {
        client.inspect("q").overview().await.unwrap().dead == 3
    })
    .await;
    node.stop().await;
    for number in 0..12 {
        client.enqueue(Number(number)).await.unwrap();
    }

    let dry = program.run(&["queue", "drain", "q", "--dry-run"]);
    assert_eq!(dry.said().0.lines().count(), 11, "{}", dry.out);
    assert_eq!(dry.err, "12 waiting jobs of q would be deleted\n");
    let said = program.fails(5, &["queue", "drain", "q"]);
    assert!(said.contains("delete 12 waiting jobs of q\nhint: add --yes"), "{said}");
    assert_eq!(client.inspect("q").overview().await.unwrap().ready(), 12);
    assert_eq!(program.ok(&["queue", "drain", "q", "--yes"]), "deleted 12 waiting jobs of q\n");
    assert_eq!(program.json(&["queue", "purge", "q", "--dry-run"])["matched"], 3);
    program.fails(5, &["queue", "purge", "q"]);
    assert_eq!(program.json(&["queue", "purge", "q", "--yes"])["changed"], 3);
    assert_eq!(client.inspect("q").overview().await.unwrap().dead, 0);
    // Several queues, and all of them.
    client.enqueue(Number(1)).queue("other").await.unwrap();
    client.enqueue(Number(2)).await.unwrap();
    let dry = program.run(&["queue", "drain", "q", "other", "--dry-run"]);
    assert_eq!(dry.said().1, "2 waiting jobs of q, other would be deleted\n");
    let done = program.run(&["queue", "drain", "q", "none", "other", "--yes"]);
    assert_eq!((done.code, done.out.lines().count()), (Some(3), 2), "{}", done.err);
    program.ok(&["queue", "pause", "--all"]);
    assert!(client.inspect("other").overview().await.unwrap().paused.is_some());
    assert_eq!(program.json(&["queue", "resume", "--all"]).as_array().unwrap().len(), 2);
    assert_eq!(program.json(&["queue", "purge", "--all"])["changed"], 0);
    program.fails(2, &["queue", "purge", "--all", "q"]);
}
