//! The audit: each change of the command leaves its entry.

use std::time::Duration;

use poolder::BatchOptions;
use poolder::prelude::*;

use crate::program::{Failing, Number, Program, eventually, start};

/// Returns the commands that change something: those with a dry run, as the unit tests of the program
/// check.
fn changing(program: &Program) -> Vec<String> {
    let (mut open, mut found) = (vec![vec![]], vec![]);
    while let Some(words) = open.pop() {
        let help = program.ok(&[words.as_slice(), &["--help"]].concat());
        let Some((_, commands)) = help.split_once("\nCommands:\n") else {
            if help.contains("--dry-run") {
                found.push(words.join(" "));
            }
            continue;
        };
        let names = commands.lines().take_while(|line| !line.is_empty());
        let names = names.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        for name in names.filter_map(|line| line.split_whitespace().next()) {
            if name != "help" {
                let name: &'static str = name.to_owned().leak();
                open.push([words.as_slice(), &[name]].concat());
            }
        }
    }
    assert!(found.len() > 20, "{found:?}");
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn each_command_that_changes_something_leaves_an_entry_with_the_actor() {
    let program = Program::new("cli-audit");
    assert_eq!(program.run(&["audit"]).said(), ("", "0 entries\n"));
    let client = program.client();
    let addressed = Pool::new("slots").size(2).mode(Mode::Phash).worker(Failing);
    let pools = || Node::builder(client.clone()).pool(Pool::new("q").worker(Failing));
    let node = start(pools().pool(addressed));
    client.batcher::<u64>("rows").declare(BatchOptions::default()).await.unwrap();
    for number in 0..5 {
        client.enqueue(Number(number)).policy(Policy::default().attempts(1)).await.unwrap();
    }
    eventually("all are dead", || async {
        client.inspect("q").overview().await.unwrap().dead == 5
            && client.pool::<()>("slots").view().await.is_ok()
    })
    .await;
    node.stop().await;
    let due = async || {
        let receipt = client.enqueue(Number(7)).after(Duration::from_secs(3_600)).await.unwrap();
        format!("q/{}", receipt.job)
    };
    let dead = program.ok(&["dead", "ls", "q", "-o", "ids"]);
    let dead: Vec<&str> = dead.lines().collect();
    let group = program.ok(&["error", "ls", "-o", "ids"]);
    let (one, two, three, four) = (due().await, due().await, due().await, due().await);
    client.batcher::<u64>("rows").push(1).await.unwrap();
    client.batcher::<u64>("rows").push(2).await.unwrap();
    let path = std::env::temp_dir().join(client.broker().namespace().replace(':', "-"));
    std::fs::write(&path, program.ok(&["export", "q", "--state", "due"])).unwrap();
    let path = path.to_str().unwrap();
    let node = start(pools());
    let mut name = String::new();
    eventually("the node lives", || async { client.nodes().await.unwrap().len() == 1 }).await;
    name.clone_from(&client.nodes().await.unwrap()[0].name);

    let every = ["--queue", "q", "--kind", "number", "--every", "1h"];
    let hourly = |verb: &'static str| vec!["schedule", verb, "hourly", "--queue", "q"];
    let changes: Vec<(Vec<&str>, &str)> = vec![
        (vec!["limits", "set", "q", "--group-concurrency", "2"], "limits.set"),
        (vec!["group", "limit", "q", "acme", "--weight", "2"], "group.limit"),
        (vec!["group", "pause", "q", "acme"], "group.pause"),
        (vec!["group", "resume", "q", "acme"], "group.resume"),
        (vec!["group", "purge", "q", "acme"], "group.purge"),
        (vec!["limits", "end", "q"], "limits.end"),
        (vec!["queue", "pause", "q"], "queue.pause"),
        (vec!["queue", "resize", "slots", "3"], "pool.resize"),
        (vec!["pool", "stop", "slots"], "pool.stop"),
        (vec!["pool", "start", "slots"], "pool.start"),
        (vec!["batch", "pop", "rows", "--index", "0"], "batch.pop"),
        (vec!["batch", "flush", "rows"], "batch.flush"),
        ([&["schedule", "add", "hourly"][..], &every].concat(), "schedule.put"),
        ([hourly("change"), vec!["--every", "2h"]].concat(), "schedule.change"),
        (hourly("pause"), "schedule.pause"),
        (hourly("resume"), "schedule.resume"),
        (hourly("run"), "schedule.run"),
        (hourly("remove"), "schedule.remove"),
        (vec!["job", "run-now", &one], "job.run_now"),
        (vec!["job", "reschedule", "--in", "1h", &two], "job.reschedule"),
        (vec!["job", "kill", &two], "job.bury"),
        (vec!["job", "cancel", &three], "job.cancel"),
        (vec!["job", "rm", &four], "job.remove"),
        (vec!["job", "edit", dead[0], "--payload", "9"], "job.edit"),
        (vec!["dead", "retry", dead[1]], "job.revive"),
        (vec!["dead", "rm", dead[2]], "job.remove"),
        (vec!["error", "mute", group.trim(), "--for", "1h"], "error.mute"),
        (vec!["error", "unmute", group.trim()], "error.unmute"),
        (vec!["error", "retry", group.trim(), "--yes"], "jobs.revive"),
        (vec!["error", "bury", group.trim(), "--yes"], "jobs.bury"),
        (vec!["job", "kill", "--queue", "q", "--all", "--state", "ready", "--yes"], "jobs.bury"),
        (vec!["queue", "drain", "q", "--yes"], "queue.drain"),
        (vec!["queue", "purge", "q", "--yes"], "queue.purge"),
        (vec!["queue", "resume", "q"], "queue.resume"),
        (vec!["job", "enqueue", "number", "7", "--queue", "q"], "job.enqueue"),
        (vec!["dead", "rm", "--queue", "q", "--all", "--yes"], "jobs.remove"),
        (vec!["import", path, "--yes"], "queue.import"),
        (vec!["node", "quiet", &name], "node.quiet"),
        (vec!["node", "resume", &name], "node.resume"),
        (vec!["node", "stop", &name], "node.stop"),
    ];
    // Each command that changes something is in the list. Those that are not have their own tests.
    let elsewhere = [
        "doctor",         // tests/suite/doctor: a repair
        "node forget",    // tests/suite/node_orders.rs
        "unique release", // unique.rs
    ];
    let mut missing = changing(&program);
    missing.retain(|command| !elsewhere.contains(&command.as_str()));
    missing.retain(|command| {
        let words: Vec<&str> = command.split(' ').collect();
        !changes.iter().any(|(change, _)| change.starts_with(&words))
    });
    assert_eq!(missing, [""; 0], "commands that change something, and that this test does not run");
    let mut wrong = vec![];
    for (words, action) in &changes {
        let before = program.json(&["audit", "--limit", "500"]).as_array().unwrap().len();
        let words = [words.as_slice(), &["--actor", "ann", "--reason", "incident 7"]].concat();
        program.ok(&words);
        let all = program.json(&["audit", "--limit", "500", "--of", "ann"]);
        let entries = all.as_array().unwrap();
        let new = entries.len() - before.min(entries.len());
        let is_new = |entry: &&serde_json::Value| entry["action"] == *action;
        let fits = |entry: &serde_json::Value| {
            (&entry["actor"], &entry["via"], &entry["reason"])
                == (&"ann".into(), &"command".into(), &"incident 7".into())
        };
        match entries.iter().take(new).find(is_new) {
            Some(entry) if fits(entry) => {}
            _ => {
                wrong
                    .push(format!("{words:?}: {:?}", entries.iter().take(new).collect::<Vec<_>>()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    node.ended().await;

    let shown = program.ok(&["audit", "--action", "node.*", "--since", "1h"]);
    assert_eq!(shown.lines().count(), 4, "{shown}");
    assert!(shown.lines().nth(1).unwrap().contains("incident 7"), "{shown}");
    let first = program.run(&["audit", "--limit", "2", "--action", "pool.*"]);
    let next = first.err.split_whitespace().skip_while(|word| *word != "--before").nth(1).unwrap();
    assert_eq!(
        program.json(&["audit", "--before", next, "--action", "pool.*"])[0]["action"],
        "pool.resize"
    );
    program.fails(2, &["audit", "--before", "yesterday"]);
    // The entries that follow are written as they come.
    let mut follow = program.command(&["audit", "--follow", "--of", "bob", "-o", "ndjson"]);
    let mut follow = follow.stdout(std::process::Stdio::piped()).spawn().unwrap();
    program.ok(&["queue", "pause", "q", "--actor", "bob"]);
    let mut line = String::new();
    let out = follow.stdout.take().unwrap();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(out), &mut line).unwrap();
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert!(line.contains("\"queue.pause\"") && line.contains("\"bob\""), "{line}");
}
