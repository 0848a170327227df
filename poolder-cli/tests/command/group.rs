//! The commands about the limits of queues, and about their groups.

use poolder::Partition;

use crate::program::{Number, Program};

#[tokio::test]
async fn a_queue_is_limited_and_its_groups_are_operated() {
    let program = Program::new("cli-group");
    let client = program.client();
    program.fails(3, &["limits", "set", "reports", "--concurrency", "2"]);
    client.enqueue(Number(0)).queue("reports").await.unwrap();
    assert_eq!(program.ok(&["limits", "get", "reports"]), "queue reports has no limits\n");
    let refused = program.fails(3, &["group", "pause", "reports", "acme"]);
    assert!(refused.contains("has no limits, and so no groups"), "{refused}");
    let none = program.run(&["group", "ls", "reports"]);
    assert_eq!(none.said().0, "");

    let set = ["limits", "set", "reports", "--concurrency", "200", "--group-concurrency", "4"];
    let said = program.ok(&set);
    assert_eq!(said, "limited queue reports to 200 jobs at a time, 4 jobs of each group\n");
    program.ok(&["limits", "set", "reports", "--group-concurrency", "none"]);
    let shown = program.json(&["limits", "get", "reports"]);
    assert_eq!(shown["limits"]["concurrency"], 200);
    assert_eq!(shown["limits"]["group_concurrency"], serde_json::Value::Null);
    for wrong in [
        &["limits", "set", "reports", "--concurrency", "0"][..],
        &["limits", "set", "reports", "--concurrency", "1,000,001"],
        &["limits", "set", "reports", "--concurrency", "few"],
        &["group", "limit", "reports", "acme", "--weight", "101"],
        &["group", "limit", "reports", "a\nb", "--weight", "1"],
        &["group", "ls", "reports", "--state", "odd"],
        &["group", "get", "reports", &"x".repeat(129)],
    ] {
        program.fails(2, wrong);
    }
    for (group, jobs) in [("", 1), ("acme", 12), ("b c", 1)] {
        for number in 0..jobs {
            client.enqueue(Number(number)).queue("reports").group(group).await.unwrap();
        }
    }
    let partition = Partition::first("reports".parse().unwrap());
    client.broker().sort(&partition, &mut Default::default()).await.unwrap();
    program.ok(&["group", "limit", "reports", "acme", "--concurrency", "20"]);
    let said = program.ok(&["group", "limit", "reports", "acme", "--weight", "5"]);
    let expected = "limited group acme of queue reports to 20 jobs at a time, weight 5\n";
    assert_eq!(said, expected);

    let shown = program.ok(&["group", "ls", "reports"]);
    println!("{shown}");
    let lines: Vec<Vec<&str>> =
        shown.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[1], ["acme", "startable", "12", "-", "20", "5", "-"]);
    assert_eq!(lines[2], ["''", "startable", "2", "-", "-", "1", "-"]);
    assert_eq!(program.ok(&["group", "ls", "reports", "-o", "ids"]), "acme\n\nb c\n");
    let cut = program.run(&["group", "ls", "reports", "--limit", "1"]);
    assert!(cut.err.contains("only 1 groups are shown"), "{}", cut.err);
    let shown = program.json(&["group", "get", "reports", "acme"]);
    assert_eq!((&shown["own"]["weight"], &shown["waiting"]), (&5.into(), &12.into()));

    let said = program.ok(&["group", "pause", "reports", "acme", ""]);
    assert_eq!(said, "paused group acme of queue reports\npaused group '' of queue reports\n");
    let said = program.ok(&["group", "pause", "reports", "acme"]);
    assert!(said.ends_with("which it was already\n"), "{said}");
    let paused = program.ok(&["group", "ls", "reports", "--state", "paused", "-o", "ids"]);
    assert_eq!(paused, "acme\n\n");
    let shown = program.ok(&["group", "get", "reports", "acme"]);
    assert!(shown.contains("paused") && shown.contains("own limit"), "{shown}");

    let dry = program.run(&["group", "purge", "reports", "acme", "--dry-run"]);
    assert!(dry.err.contains("12 waiting jobs of group acme"), "{}", dry.err);
    assert_eq!(dry.out.lines().count(), 11, "a head and ten jobs: {}", dry.out);
    let refused = program.run(&["group", "purge", "reports", "acme"]);
    assert_eq!(refused.code, Some(5), "{}", refused.err);
    let said = program.ok(&["group", "purge", "reports", "acme", "--yes"]);
    assert_eq!(said, "deleted 12 waiting jobs of group acme of queue reports\n");
    program.fails(3, &["group", "purge", "reports", "none", "--yes"]);
    program.ok(&["group", "resume", "reports", "acme", ""]);
    program.ok(&["group", "limit", "reports", "acme", "--concurrency", "none", "--weight", "none"]);
    program.fails(3, &["group", "get", "reports", "acme"]);
    let said = program.ok(&["limits", "end", "reports"]);
    assert!(said.ends_with(": 3 jobs wait in groups, and start in turn\n"), "{said}");
}
