//! The commands about the keys of unique jobs.

use poolder::prelude::*;

use crate::program::{Number, Program};

#[tokio::test]
async fn keys_are_listed_looked_up_and_released() {
    let program = Program::new("cli-unique");
    let none = program.run(&["unique", "ls", "q"]);
    assert_eq!(none.said(), ("", "no key of queue q is held\n"));
    let client = program.client();
    let rule = || Unique::keep_last().by(&"one");
    let first = client.enqueue(Number(1)).unique(rule()).await.unwrap();
    let second = client.enqueue(Number(2)).unique(rule()).await.unwrap();

    let key = program.ok(&["unique", "ls", "q", "-o", "ids"]);
    let key = key.trim();
    let shown = program.ok(&["unique", "ls", "q"]);
    for part in ["KEY", "RULE", key, "keep last", &*first.job.to_string()] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let limited = program.run(&["unique", "ls", "q", "--limit", "0"]);
    assert!(limited.err.contains("more are held than the first 0"), "{}", limited.err);
    let held = program.json(&["unique", "get", "q", key]);
    assert_eq!(held["behind"], second.job.to_string());
    let id = program.ok(&["unique", "get", "q", key, "-o", "ids"]);
    assert!(program.ok(&["job", "get", id.trim()]).contains(&first.job.to_string()), "{id}");

    let asked = program.ok(&["unique", "release", "q", key, "--dry-run"]);
    assert!(asked.starts_with(&format!("this would release key {key}")), "{asked}");
    assert_eq!(program.json(&["unique", "get", "q", key])["behind"], second.job.to_string());
    let done = program.ok(&["unique", "release", "q", key, "--reason", "stuck"]);
    let expected = format!("job {} goes on; job {} is due\n", first.job, second.job);
    assert!(done.ends_with(&expected), "{done}");
    let audit = program.ok(&["audit", "--action", "unique.release"]);
    assert!(audit.contains(key) && audit.contains("stuck"), "{audit}");
    let last = program.json(&["unique", "release", "q", key]);
    assert_eq!((&last["done"], &last["behind"]), (&"released".into(), &serde_json::Value::Null));
    program.fails(3, &["unique", "get", "q", key]);
    program.fails(3, &["unique", "release", "q", key]);
    program.fails(2, &["unique", "get", "q", "no key"]);
    program.fails(2, &["unique", "ls", "not a name"]);
}
