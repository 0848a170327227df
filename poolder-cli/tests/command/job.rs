//! The commands about jobs.

use std::time::Duration;

use poolder::Handle;
use poolder::prelude::*;
use serde_json::json;

use crate::program::{Failing, Number, Program, eventually, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_enqueued_looked_at_and_waited_for() {
    let program = Program::new("cli-job");
    let client = program.client();
    let enqueued = program.json(&[
        "job",
        "enqueue",
        "number",
        "7",
        "--queue",
        "q",
        "--header",
        "tenant=acme",
        "--expires",
        "1h",
    ]);
    let id = enqueued["job"].as_str().unwrap();
    let handle = enqueued["handle"].as_str().unwrap();
    for name in [id, handle, &format!("q/{id}")] {
        let shown = program.ok(&["job", "get", name]);
        for line in [
            "kind         number",
            "state        ready",
            "attempt      1 of 25",
            "tenant       acme",
            "payload      7",
            "expires at ",
        ] {
            assert!(shown.contains(line), "{line}: {shown}");
        }
    }
    assert_eq!(program.json(&["job", "get", id])["payload"], 7);
    assert!(program.ok(&["job", "get", id, "-o", "ids"]).starts_with("q.0/"));
    program.fails(7, &["job", "wait", id, "--timeout", "200ms"]);
    // Nothing serves the queue: a person must act.
    let stuck = program.run(&["job", "explain", id]);
    assert_eq!(stuck.code, Some(6), "{}", stuck.out);
    assert!(
        stuck.out.contains("\nunserved: ") && stuck.out.contains("\nOK   CHECK"),
        "{}",
        stuck.out
    );
    assert!(stuck.err.starts_with("hint: "), "{}", stuck.err);
    let explained = program.run(&["job", "explain", handle, "--json"]);
    let explained: serde_json::Value = serde_json::from_str(&explained.out).unwrap();
    assert_eq!((&explained["verdict"], &explained["job"]), (&json!("unserved"), &json!(id)));
    assert_eq!(program.run(&["job", "explain", "q/none"]).code, Some(3));

    let worker = worker_fn(async |job: Number| Ok::<_, BoxError>(Outcome::result(&(job.0 * 6))?));
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(worker)));
    assert_eq!(program.ok(&["job", "wait", &format!("q/{id}")]), "42\n");
    assert_eq!(program.json(&["job", "get", handle])["result"], json!({ "value": 42 }));
    // A job of another name has never been there.
    for verb in ["get", "wait"] {
        let said = program.fails(3, &["job", verb, "q/none"]);
        assert!(said.contains("hint: "), "{said}");
        program.fails(3, &["job", verb, "019e3c7a-5b1f-7000-8000-00000000002a"]);
    }
    node.stop().await;
    // A payload on standard input; an own id that is enqueued once.
    let due = ["--in", "1h", "--id", "hello", "--idempotent", "1d", "--lane", "high"];
    let first =
        program.ok(&[&["job", "enqueue", "number", "8", "--queue", "q"][..], &due].concat());
    assert!(first.contains("due at "), "{first}");
    let again =
        program.ok(&[&["job", "enqueue", "number", "8", "--queue", "q"][..], &due].concat());
    assert!(again.contains("was enqueued before"), "{again}");
    let view = client.job(Handle::named("q", "hello")).view().await.unwrap().unwrap();
    assert_eq!((view.lane, view.payload_json().unwrap()), (Lane::High, json!(8)));
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_are_run_now_rescheduled_cancelled_and_removed() {
    let program = Program::new("cli-act");
    let client = program.client();
    let mut ids = vec![];
    for number in 0..3 {
        let receipt =
            client.enqueue(Number(number)).after(Duration::from_secs(3_600)).await.unwrap();
        ids.push(format!("q/{}", receipt.job));
    }
    let on = |verb: &'static str, more: &[&'static str]| -> Vec<String> {
        let words = ["job", verb].into_iter().chain(more.iter().copied()).map(str::to_owned);
        words.chain(ids.iter().cloned()).collect()
    };
    let words = |words: &[String]| -> Vec<&'static str> {
        words.iter().map(|word| &*word.clone().leak()).collect()
    };
    let said = program.fails(5, &words(&on("run-now", &[])));
    assert!(said.contains("run 3 jobs"), "{said}");
    let dry = program.run(&words(&on("cancel", &["--dry-run"])));
    assert_eq!((dry.said().0.lines().count(), dry.err.as_str()), (4, "this would cancel 3 jobs\n"));

    // A job that waits is buried, and revived.
    let said = program.ok(&["job", "kill", &ids[2], "--reason", "no such user"]);
    assert!(said.starts_with("buried q.0/"), "{said}");
    let dead = program.json(&["dead", "ls", "q", "--error", "no such user"]);
    assert_eq!((&dead["of"], &dead["jobs"][0]["payload"]), (&1.into(), &2.into()));
    assert!(program.fails(1, &["job", "kill", &ids[2]]).contains("dead already"));
    program.ok(&["dead", "retry", &ids[2]]);
    let all = ["job", "kill", "--queue", "q", "--all", "--state", "ready"];
    assert_eq!(program.ok(&all), "buried 1 of 1 ready job of q\n");
    program.fails(2, &["job", "kill", "--queue", "q", "--all", "--state", "running"]);

    program.ok(&["job", "run-now", &ids[0]]);
    let now = client.inspect("q").overview().await.unwrap();
    assert!(now.next_due.is_some_and(|at| at <= now.now), "{now:?}");
    let later = program.ok(&["job", "reschedule", &ids[0], "--at", "2099-01-01T00:00:00Z"]);
    assert!(later.ends_with("waits until 2099-01-01T00:00:00.000Z\n"), "{later}");
    let soon = program.json(&["job", "reschedule", &ids[1], "--in", "2h"]);
    assert_eq!(soon[0]["done"], "rescheduled");
    let shown = program.ok(&["queue", "get", "q"]);
    let counted = |line: &str| line.split_whitespace().eq(["rescheduled", "3"]);
    assert!(shown.lines().any(counted), "{shown}");
    program.fails(2, &["job", "reschedule", &ids[0]]);
    assert!(program.ok(&["job", "cancel", &ids[0]]).contains("it waited, and was removed"));
    let done = program.run(&["job", "rm", "--yes", &ids[1], &ids[0], "q/none"]);
    assert_eq!(done.code, Some(3), "{}", done.err);
    assert!(done.out.starts_with("removed ") && done.out.lines().count() == 1, "{}", done.out);
    program.fails(3, &["job", "rm", "q/none"]);
    for bad in ["", "q", "q/", "not a name/x", "q.0a/019e3c7a-5b1f-7000-8000-00000000002a"] {
        let said = program.fails(2, &["job", "cancel", bad]);
        assert!(said.contains("newer version") == bad.starts_with("q.0a"), "{said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_job_is_edited_and_revived() {
    let program = Program::new("cli-edit");
    let client = program.client();
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(Failing)));
    let policy = Policy::default().attempts(1);
    let receipt = client.enqueue(Number(7)).policy(policy).await.unwrap();
    let id = format!("q/{}", receipt.job);
    eventually("it is dead", || async { client.inspect("q").overview().await.unwrap().dead == 1 })
        .await;
    node.stop().await;
    let shown = program.ok(&["job", "get", &id]);
    let words: Vec<&str> = shown.split_whitespace().collect();
    assert!(words.join(" ").contains("error error: no number today"), "{shown}");
    assert!(shown.contains("attempts that failed:\nENDED"), "{shown}");
    program.fails(6, &["job", "wait", &id]);
    assert!(program.json(&["job", "blast-radius", &id])["crashes"].as_array().unwrap().is_empty());
    assert_eq!(program.ok(&["job", "edit", &id, "--payload", "8", "--dry-run"]), "8\n");
    let said = program.ok(&["job", "edit", &id, "--patch", "9"]);
    assert!(said.starts_with("revived q.0/") && said.ends_with(" with the payload 9\n"), "{said}");
    let view = client.job(&receipt).view().await.unwrap().unwrap();
    assert_eq!((view.state, view.payload_json().unwrap()), (poolder::JobState::Ready, json!(9)));
    // One that waits is edited where it waits.
    let said = program.ok(&["job", "edit", &id, "--patch", "10"]);
    assert!(said.starts_with("edited q.0/") && said.ends_with(" with the payload 10\n"), "{said}");
    let view = client.job(&receipt).view().await.unwrap().unwrap();
    assert_eq!(view.payload_json().unwrap(), json!(10));
    program.fails(2, &["job", "edit", &id, "--patch", "{"]);
    program.fails(2, &["job", "edit", &id]);
}
