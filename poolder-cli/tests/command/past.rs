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
    assert_eq!(program.ok(&["error", "ls", "--since", "1h", "-o", "ids"]), id);
    assert_eq!(program.ok(&["error", "ls", "--since", "1ms", "-o", "ids"]), "");
    // The group of a job is that of the list.
    let job = program.json(&["dead", "ls", "q"])["jobs"][0].clone();
    let ids = [&job["error"], &job["attempts"][0]["error"]].map(|id| id.as_str());
    assert_eq!(ids, [Some(id.trim()); 2]);
    let found = program.json(&["dead", "ls", "q", "--where", &format!("error={}", id.trim())]);
    assert_eq!(found["jobs"].as_array().unwrap().len(), 3, "{found}");
    let shown = program.ok(&["job", "get", job["handle"].as_str().unwrap()]);
    assert!(shown.trim_end().ends_with(id.trim()), "{shown}");

    let periods = program.ok(&["queue", "history", "q", "--kind", "number"]);
    let words: Vec<&str> = periods.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(words[1..5], ["number", "-", "3", "3"], "{periods}");
    program.fails(3, &["queue", "history", "none"]);
    let stats = program.ok(&["stats"]);
    assert!(
        stats.lines().any(|line| line.split_whitespace().eq(["buried", "3", "q", "3"])),
        "{stats}"
    );
    assert_eq!(program.json(&["stats", "q"])[0]["counters"]["buried"], 3);
    program.fails(3, &["stats", "none"]);
    // A muted error is still listed, and says until when; status says how many are muted.
    let dry = program.ok(&["error", "mute", id.trim(), "--for", "4h", "--dry-run"]);
    assert!(dry.starts_with("this would mute error ") && dry.ends_with(" for 4h\n"), "{dry}");
    let words = ["--for", "4h", "--until-deploy", "--at-most", "100", "--actor", "ann"];
    let muted = program.json(&[&["error", "mute", &id[..8]][..], &words].concat());
    let mute = &muted[0]["mute"];
    assert_eq!(mute["until"].as_i64().unwrap() - mute["since"].as_i64().unwrap(), 14_400_000);
    let listed = program.json(&["error", "ls"]);
    assert_eq!(&listed[0]["mute"], mute);
    assert!(program.ok(&["error", "ls"]).contains("MUTED UNTIL"));
    let shown = program.ok(&["error", "get", id.trim()]);
    assert!(shown.contains("Z, until the next deploy, at most 100 an hour, by ann\n"), "{shown}");
    let status = program.run(&["status"]).out;
    assert!(status.contains("muted_errors  1 error is muted"), "{status}");
    assert_eq!(
        program.ok(&["error", "unmute", id.trim()]),
        format!("unmuted error {}\n", id.trim())
    );
    assert!(program.ok(&["error", "unmute", id.trim()]).ends_with(", which was not muted\n"));
    assert!(!program.run(&["status"]).out.contains("muted"));
    program.fails(2, &["error", "mute", id.trim()]);
    program.fails(2, &["error", "mute", id.trim(), "--for", "0s"]);
    program.fails(3, &["error", "mute", "ffffffffffffffff0", "--for", "1h"]);
    // The jobs of the group are retried, and those that wait for another attempt buried.
    let dry = program.run(&["error", "retry", id.trim(), "--dry-run"]);
    let would = format!("this would retry 3 jobs of error {id}");
    assert_eq!((dry.said().0.lines().count(), &dry.err), (4, &would));
    assert!(program.fails(5, &["error", "retry", id.trim()]).contains("hint: add --yes"));
    let done = program.json(&["error", "retry", &id[..8], "--yes"]);
    assert_eq!((&done["changed"], &done["done"]), (&3.into(), &"retried".into()));
    client.inspect("q").drain().await.unwrap();
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(Failing)));
    client.enqueue(Number(4)).await.unwrap();
    eventually("it waits for another attempt", || async {
        client.inspect("q").overview().await.unwrap().retrying == 1
    })
    .await;
    node.stop().await;
    let done = program.ok(&["error", "bury", id.trim()]);
    assert_eq!(done, format!("buried 1 of 1 job of error {}\n", id.trim()));
    let view = client.inspect("q").overview().await.unwrap();
    assert_eq!((view.retrying, view.due, view.dead), (0, 0, 1));
    program.fails(3, &["error", "bury", "ffffffffffffffff0"]);
    let several = program.run(&["error", "retry", id.trim(), "ffffffffffffffff0", "--dry-run"]);
    assert_eq!(several.code, Some(3), "{}", several.err);
    assert!(several.err.contains("this would retry 1 job of error"), "{}", several.err);
    program.fails(3, &["error", "get", "ffffffffffffffff0"]);
    program.fails(2, &["history", "--since", "soon"]);
}
