//! Lists of jobs, conditions, and changes of all jobs that satisfy them.

use std::time::Duration;

use poolder::prelude::*;
use serde_json::Value;

use crate::program::{Failing, Number, Program, eventually, start};

#[tokio::test]
async fn jobs_are_listed_by_state_and_conditions_page_by_page() {
    let program = Program::new("cli-ls");
    let client = program.client();
    for number in 0..7 {
        client.enqueue(Number(number)).await.unwrap();
    }
    client.enqueue(Number(7)).after(Duration::from_secs(3_600)).await.unwrap();
    let listed = program.run(&["job", "ls", "q"]);
    assert_eq!(listed.said().0.lines().count(), 8, "{}", listed.out);
    assert_eq!(listed.err, "7 ready jobs of q, looked at 7 of 7\n");
    assert_eq!(
        program.ok(&["job", "ls", "q", "--state", "scheduled", "-o", "ids"]).lines().count(),
        1
    );
    let first = program.run(&["job", "ls", "q", "--limit", "3"]);
    let cursor =
        first.err.split_whitespace().skip_while(|word| *word != "--cursor").nth(1).unwrap();
    let rest = program.ok(&["job", "ls", "q", "--cursor", cursor, "-o", "ndjson"]);
    let payloads: Vec<Value> = rest
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["payload"].clone())
        .collect();
    assert_eq!(payloads, [3, 4, 5, 6]);
    let one =
        program.json(&["job", "ls", "q", "--where", "payload=5 attempt=1", "--kind", "number"]);
    assert_eq!((&one["jobs"][0]["payload"], &one["looked_at"]), (&5.into(), &7.into()));
    for (words, found) in [
        (&["--payload", "=5"][..], 1),
        (&["--attempt", "1"], 7),
        (&["--attempt", ">=2"], 0),
        (&["--older", "1h"], 0),
        (&["--node", "a \"node\""], 0),
    ] {
        let words = [&["job", "ls", "q", "-o", "ids"][..], words].concat();
        assert_eq!(program.ok(&words).lines().count(), found, "{words:?}");
    }
    let none = program.run(&["job", "ls", "q", "--kind", "other"]);
    assert_eq!(none.said().0, "");

    // A job by its id alone, and by the beginning of its id.
    let id = one["jobs"][0]["id"].as_str().unwrap();
    assert!(program.ok(&["job", "get", id]).contains("payload      5"));
    assert!(program.ok(&["job", "get", &id[..35]]).contains("payload      5"));
    let several = program.fails(2, &["job", "get", &format!("q/{}", &id[..8])]);
    assert!(several.contains("several jobs") && several.contains("hint: q.0/"), "{several}");
    program.fails(3, &["job", "get", "00000000"]);

    for (words, hint) in [
        (&["job", "ls", "q", "--where", "attempt~3"][..], "attempt>=3"),
        (&["job", "ls", "q", "--where", "colour=red"], "colour"),
        (&["job", "ls", "q", "--attempt", "many"], "attempt>=3"),
        (&["job", "ls", "q", "--older", "soon"], "older"),
        (&["job", "ls", "q", "--payload", "user.id"], "user.id"),
        (&["job", "ls", "q", "--state", "lost"], "retrying"),
        (&["job", "ls", "q", "--cursor", "x"], "cursor"),
        (&["job", "cancel", "--where", "kind=x", id], "--all"),
        (&["job", "cancel", "--queue", "q", "--all"], "--state"),
        (&["job", "cancel", "--queue", "q"], "--all"),
        (&["job", "cancel"], "JOB"),
    ] {
        let said = program.fails(2, words);
        assert!(said.contains(hint), "{words:?}: {said}");
    }
    program.fails(3, &["job", "ls", "none"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn all_jobs_that_satisfy_conditions_are_changed_after_a_confirmation() {
    let program = Program::new("cli-bulk");
    let client = program.client();
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(Failing)));
    for number in 0..12 {
        client.enqueue(Number(number)).policy(Policy::default().attempts(1)).await.unwrap();
    }
    let dead = || async { client.inspect("q").overview().await.unwrap().dead };
    eventually("twelve are dead", || async { dead().await == 12 }).await;
    node.stop().await;

    let dry = program.run(&[
        "dead",
        "retry",
        "--queue",
        "q",
        "--all",
        "--error",
        "NO NUMBER",
        "--dry-run",
    ]);
    assert_eq!(
        (dry.said().0.lines().count(), dry.err.as_str()),
        (11, "this would revive 12 dead jobs of q\n")
    );
    let some = ["--queue", "q", "--all", "--where", "payload=3"];
    assert_eq!(
        program.ok(&[&["dead", "rm"][..], &some].concat()),
        "removed 1 of 1 dead job of q\n"
    );
    let patch = ["job", "edit", "--queue", "q", "--all", "--patch", r#"{"number":4}"#];
    let dry = program.run(&[&patch[..], &["--dry-run"]].concat());
    assert_eq!(
        (dry.said().0.lines().count(), dry.err.as_str()),
        (11, "this would edit and revive 11 dead jobs of q\n")
    );
    assert_eq!(
        program.ok(&[&patch[..], &["--where", "payload=4"]].concat()),
        "revived 1 of 1 dead job of q\n"
    );
    let edited = program.json(&["job", "ls", "q", "--where", "payload.number=4"]);
    assert_eq!(edited["jobs"].as_array().unwrap().len(), 1, "{edited}");
    for words in [&["--patch", "7"][..], &["--payload", "7"], &["--patch", "{", "--yes"]] {
        program.fails(2, &[&patch[..5], words].concat());
    }
    // A queue that is named twice is changed once.
    let all = ["dead", "retry", "--queue", "q", "--queue", "q", "--all"];
    let said = program.fails(5, &all);
    assert!(said.contains("revive 10 dead jobs of q\nhint: add --yes"), "{said}");
    assert_eq!(dead().await, 10);
    let done = program.json(&[&all[..], &["--yes"]].concat());
    assert_eq!((&done["done"], &done["changed"]), (&"revived".into(), &10.into()));
    assert_eq!(dead().await, 0);
    let ready = ["--queue", "q", "--all", "--state", "ready"];
    let later = program.ok(&[&["job", "reschedule", "--in", "1h", "--yes"][..], &ready].concat());
    assert_eq!(later, "rescheduled 11 of 11 ready jobs of q\n");
    let due = ["--queue", "q", "--all", "--state", "due", "--yes"];
    assert_eq!(
        program.ok(&[&["job", "cancel"][..], &due].concat()),
        "cancelled 11 of 11 due jobs of q\n"
    );
    let nothing = program.run(&["dead", "ls", "q"]);
    assert_eq!(nothing.said(), ("", "0 dead jobs of q, looked at 0 of 0\n"));
    // A change that the jobs of the listing do not allow.
    let said = program.fails(2, &["job", "rm", "--queue", "q", "--all", "--state", "running"]);
    assert!(said.contains("cancel them"), "{said}");
}
