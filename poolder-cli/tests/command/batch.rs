//! The commands about batchers.

use poolder::BatchOptions;

use crate::program::Program;

#[tokio::test]
async fn batchers_are_listed_looked_into_and_flushed() {
    let program = Program::new("cli-batch");
    assert_eq!(program.run(&["batch", "ls"]).said().0, "");
    let client = program.client();
    let batcher = client.batcher::<u64>("rows");
    batcher.declare(BatchOptions::default()).await.unwrap();
    for entry in 0..3 {
        batcher.group("eu").push(entry).await.unwrap();
    }
    let other = client.batcher_on::<u64>("shared", "points");
    other.declare(BatchOptions::default()).await.unwrap();
    other.push(1).await.unwrap();

    assert_eq!(program.ok(&["batch", "ls", "-o", "ids"]), "rows\n");
    assert_eq!(
        program.ok(&["batch", "ls", "rows", "shared/points"]),
        "\
BATCHER        GATHERING  WAITING  SEALED  ENTRIES  DONE  RETRIED  DEAD
rows                   1        3       -        -     -        -     -
shared/points          1        1       -        -     -        -     -
"
    );
    // One on a queue of another name is known by its batches, when no node has it.
    program.ok(&["batch", "flush", "shared/points"]);
    assert_eq!(program.ok(&["batch", "ls", "-o", "ids"]), "rows\nshared/points\n");
    let shown = program.ok(&["batch", "get", "rows"]);
    assert!(
        shown.starts_with("rows: 3 entries wait, 1 list gathers, 0 batches were sealed\n\nGROUP"),
        "{shown}"
    );
    assert_eq!(
        program.ok(&["batch", "pop", "rows", "eu", "--index", "1", "--dry-run"]),
        "this would take entry 1 out of the list of group eu of rows: 1\n"
    );
    program.fails(3, &["batch", "pop", "rows", "eu", "--index", "3"]);
    program.fails(3, &["batch", "pop", "rows", "--index", "0"]);
    batcher.group("eu").push(3).await.unwrap();
    assert_eq!(
        program.ok(&["batch", "pop", "rows", "eu", "--index", "1"]),
        "took entry 1 out of the list of group eu of rows: 1\n"
    );
    assert_eq!(batcher.group("eu").list(0).await.unwrap().entries, [0, 2, 3]);
    let waits = program.run(&["batch", "explain", "rows", "eu"]);
    assert!(waits.out.contains("\ngathering: ") || waits.code == Some(6), "{}", waits.out);
    let nothing = program.run(&["batch", "flush", "rows"]);
    assert_eq!(nothing.said(), ("", "no entries wait there: nothing was sealed\n"));
    let flushed = program.json(&["batch", "flush", "rows", "eu"]);
    let job = flushed["job"].as_str().unwrap();
    assert_eq!(program.ok(&["batch", "get", "rows", "-o", "ids"]), format!("{job}\n"));
    let value = program.json(&["batch", "get", "rows"]);
    assert_eq!((&value["waiting"], &value["batches"][0]["len"]), (&3.into(), &3.into()));
    program.fails(3, &["batch", "get", "none"]);
    program.fails(2, &["batch", "get", "not a name"]);
}
