//! Dry runs: they say what would be changed, and change nothing.

use std::time::Duration;

use poolder::prelude::*;

use crate::program::{Failing, Number, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_dry_run_changes_no_key() {
    let program = Program::new("cli-dry");
    let client = program.client();
    let pools =
        [Pool::new("q").worker(Failing), Pool::new("slots").mode(Mode::Phash).worker(Failing)];
    let [shared, addressed] = pools;
    let node = start(Node::builder(client.clone()).pool(shared).pool(addressed));
    client.enqueue(Number(1)).policy(Policy::default().attempts(1)).await.unwrap();
    eventually("it is dead", || async { client.inspect("q").overview().await.unwrap().dead == 1 })
        .await;
    node.stop().await;
    client.enqueue(Number(2)).await.unwrap();
    let due = client.enqueue(Number(3)).after(Duration::from_secs(3_600)).await.unwrap();
    let due = format!("q/{}", due.job);
    let every = ["--queue", "q", "--kind", "number", "--every", "1h"];
    program.ok(&[&["schedule", "add", "hourly"][..], &every].concat());
    let dead = program.ok(&["dead", "ls", "q", "-o", "ids"]);
    let dead = dead.trim();

    let before = program.digest();
    for (words, would) in [
        (&["queue", "pause", "q"][..], "pause q"),
        (&["queue", "resume", "q"], "resume q"),
        (&["limits", "set", "q", "--concurrency", "3"], "limit queue q to 3 jobs at a time"),
        (&["limits", "end", "q"], "end the limits of queue q"),
        (&["group", "pause", "q", "acme"], "pause group acme of queue q"),
        (&["group", "resume", "q", "acme"], "resume group acme of queue q"),
        (
            &["group", "limit", "q", "acme", "--weight", "2"],
            "limit group acme of queue q to weight",
        ),
        (&["queue", "resize", "slots", "7"], "resize slots from"),
        (&["pool", "stop", "slots"], "stop pool slots"),
        (&["pool", "start", "slots", "--slot", "0"], "start slot 0 of pool slots"),
        (&["batch", "flush", "rows", "eu"], "seal the list of group eu of rows"),
        (&["job", "enqueue", "number", "7", "--queue", "q"], "enqueue a job number on queue q"),
        (&["schedule", "pause", "hourly", "--queue", "q"], "pause schedule hourly of queue q"),
        (&["schedule", "resume", "hourly", "--queue", "q"], "resume schedule hourly"),
        (&["schedule", "remove", "hourly", "--queue", "q"], "remove schedule hourly"),
        (&["schedule", "run", "hourly", "--queue", "q"], "enqueue the job of schedule hourly"),
        (&["schedule", "change", "hourly", "--queue", "q", "--every", "2h"], "change schedule"),
        (&[&["schedule", "add", "hourly", "--replace"][..], &every].concat(), "replace schedule"),
        (&[&["schedule", "add", "other"][..], &every].concat(), "add schedule other"),
    ] {
        let words = [words, &["--dry-run"]].concat();
        let said = program.ok(&words);
        assert!(said.starts_with(&format!("this would {would}")), "{words:?}: {said}");
        let json = program.json(&words);
        let json = if json.is_array() { &json[0] } else { &json };
        assert_eq!(json["dry_run"], true, "{words:?}");
        assert!(said.contains(json["would"].as_str().unwrap()), "{words:?}: {json}");
    }
    for words in [
        &["queue", "drain", "q"][..],
        &["queue", "purge", "q"],
        &["job", "run-now", &due],
        &["job", "cancel", &due],
        &["job", "rm", &due],
        &["job", "reschedule", "--in", "1m", &due],
        &["dead", "retry", dead],
        &["dead", "rm", dead],
        &["job", "edit", dead, "--payload", "9"],
        &["dead", "rm", "--queue", "q", "--all"],
    ] {
        assert_ne!(program.ok(&[words, &["--dry-run"]].concat()), "", "{words:?}");
    }
    assert_eq!(program.digest(), before);
    // A subject that is not there is not found by a dry run either.
    for words in [
        &["queue", "pause", "none"][..],
        &["queue", "resize", "q", "7"],
        &["pool", "stop", "q"],
        &["pool", "stop", "slots", "--slot", "999"],
        &["schedule", "remove", "none", "--queue", "q"],
    ] {
        program.fails(3, &[words, &["--dry-run"]].concat());
    }
}
