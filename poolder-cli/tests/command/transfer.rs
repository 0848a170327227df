//! The commands export and import.

use std::process::Stdio;
use std::time::Duration;

use poolder::prelude::*;

use crate::program::{Failing, Number, Program, done, eventually, start};

/// A file in a folder of its own.
fn file(program: &Program, name: &str) -> std::path::PathBuf {
    let folder = std::env::temp_dir().join(program.client().broker().namespace().replace(':', "-"));
    std::fs::create_dir_all(&folder).unwrap();
    folder.join(name)
}

/// Imports this text from standard input.
fn pipe(program: &Program, words: &[&str], text: &str) -> crate::program::Done {
    use std::io::Write;
    let mut command = program.command(&[&["import", "-"], words].concat());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = piped.spawn().unwrap();
    // The program may end before it has read everything.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    done(&child.wait_with_output().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn queues_are_exported_to_a_file_and_imported_into_another_namespace() {
    let (from, to) = (Program::new("cli-export"), Program::new("cli-import"));
    let client = from.client();
    let node = start(Node::builder(client.clone()).pool(Pool::new("q").worker(Failing)));
    client.enqueue(Number(1)).policy(Policy::default().attempts(1)).await.unwrap();
    eventually("it is dead", || async { client.inspect("q").overview().await.unwrap().dead == 1 })
        .await;
    node.stop().await;
    client.enqueue(Number(2)).await.unwrap();
    client.enqueue(Number(3)).after(Duration::from_secs(3_600)).await.unwrap();
    from.ok(&["schedule", "add", "hourly", "--queue", "q", "--kind", "number", "--every", "1h"]);
    from.ok(&["queue", "pause", "q"]);

    let path = file(&from, "all.ndjson");
    let path = path.to_str().unwrap();
    let exported = from.run(&["export", "q", "--file", path]);
    assert_eq!(exported.said(), ("", "exported 3 jobs and 1 schedule of 1 queue\n"));
    from.fails(2, &["export", "--file", path]);
    from.fails(3, &["export", "none"]);
    // Standard output has the same lines, in whatever form the output was asked for.
    let lines = from.ok(&["export", "--json"]);
    assert_eq!(lines.lines().count(), 7, "{lines}");
    let kept = std::fs::read_to_string(path).unwrap();
    assert_eq!(kept.lines().skip(1).collect::<Vec<_>>(), lines.lines().skip(1).collect::<Vec<_>>());
    let dead = from.ok(&["export", "q", "--state", "dead"]);
    assert_eq!(dead.lines().count(), 4, "{dead}");

    let before = to.digest();
    let dry = to.run(&["import", path, "--dry-run"]);
    let would = "this would import 3 jobs and 1 schedule of 1 queue, but those that are there \
                 already\n";
    assert_eq!(dry.said(), (would, ""));
    let said = to.fails(5, &["import", path]);
    assert!(said.contains("import 3 jobs and 1 schedule of 1 queue\nhint: add --yes"), "{said}");
    assert_eq!(to.digest(), before);
    let done = to.run(&["import", path, "--yes", "--actor", "ann"]);
    assert_eq!(done.said(), ("imported 3 of 3 jobs and 1 of 1 schedule, of 1 queue\n", ""));
    let view = to.client().inspect("q").overview().await.unwrap();
    assert_eq!((view.ready(), view.due, view.dead), (1, 1, 1));
    assert!(view.paused.is_some());
    let again = to.json(&["import", path, "--yes"]);
    assert_eq!((&again["stored"], &again["there"]), (&0.into(), &3.into()), "{again}");
    let entry = &to.json(&["audit", "--action", "queue.import", "--of", "ann"])[0];
    assert_eq!((&entry["changed"], &entry["target"]), (&4.into(), &"q".into()), "{entry}");
}

#[tokio::test]
async fn an_import_from_a_pipe_a_file_that_was_cut_off_and_lines_that_are_wrong() {
    let (from, to) = (Program::new("cli-export-cut"), Program::new("cli-import-cut"));
    for number in 0..4 {
        from.client().enqueue(Number(number)).await.unwrap();
    }
    let text = from.ok(&["export"]);
    let refused = pipe(&to, &[], &text);
    assert_eq!(refused.code, Some(5), "{}", refused.err);
    let dry = pipe(&to, &["--dry-run", "-o", "json"], &text);
    assert!(dry.said().0.contains("\"jobs\": 4"), "{}", dry.out);

    let cut = &text[..text.len() - 400];
    let part = pipe(&to, &["--yes"], cut);
    assert_eq!(part.code, Some(6), "{}", part.err);
    assert!(part.err.contains("the export was cut off behind line"), "{}", part.err);
    let whole = pipe(&to, &["--yes"], &text);
    assert!(whole.said().1.contains("jobs left out: there already"), "{}", whole.err);
    assert_eq!(to.client().inspect("q").overview().await.unwrap().ready(), 4);

    // A line that is wrong: nothing of a file is stored.
    let other = Program::new("cli-import-wrong");
    let path = file(&other, "wrong.ndjson");
    std::fs::write(&path, text.replacen("\"stored\":\"", "\"stored\":\"?", 1)).unwrap();
    let said = other.fails(2, &["import", path.to_str().unwrap(), "--yes"]);
    assert!(said.contains("line 3: the field stored is not base64"), "{said}");
    assert!(other.client().queues().await.unwrap().is_empty());
    other.fails(2, &["import", "/no/such/file", "--yes"]);
    std::fs::write(&path, "").unwrap();
    other.fails(2, &["import", path.to_str().unwrap(), "--yes"]);
    // A reader that closes its end early is no failure.
    let ended = from.bash("poolder export | head -1 | wc -l; exit ${PIPESTATUS[0]}").output();
    let ended = ended.unwrap();
    assert_eq!((ended.status.code(), ended.stdout.as_slice()), (Some(0), b"1\n".as_slice()));
}
