//! The commands that the documents show, run as they stand there.
//!
//! A block of `console` is run, each line that begins with `$ ` in bash, and its output is compared.
//! Words with digits stand for any other, since times and ids differ. Behind `console` a block may
//! say:
//!
//! - `(other output)`: its output is an example, and only the exit code is checked;
//! - `(run by PATH)`: a test in this file runs the same commands;
//! - `(not run: REASON)`.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use poolder::BatchOptions;
use poolder::prelude::*;
use serde::{Deserialize, Serialize};

use crate::program::{Done as Ended, Program, Running, done, eventually, start};

/// The languages of blocks that are commands.
const SHELLS: &[&str] = &["console", "sh", "bash", "shell", "shell-session"];

/// Names in documents, and what stands for them in a test.
const STAND_INS: &[(&str, &str)] =
    &[("/etc/bash_completion.d/poolder", "/dev/null"), ("man -l -", "cat")];

struct Block {
    page: String,
    line: usize,
    language: String,
    mark: String,
    text: String,
}

/// A command with the output that the page shows.
#[derive(Debug, PartialEq)]
struct Shown<'a> {
    command: &'a str,
    output: Vec<&'a str>,
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "mail.welcome", queue = "mail")]
struct Welcome {
    user: u64,
}

/// Welcomes all users but number 9.
async fn welcome(job: Welcome) -> Result<Return<String>, BoxError> {
    if job.user == 9 {
        return Err("SMTP 451: no such column".into());
    }
    Ok(Return("welcome".into()))
}

#[derive(Serialize, Deserialize, Job)]
#[job(kind = "import", queue = "imports")]
struct Import;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_that_a_document_shows_runs_there_or_says_why_not() {
    let mut wrong = vec![];
    for block in blocks() {
        let place = format!("{}:{}", block.page, block.line);
        match run_by(&block.mark) {
            _ if block.language != "console" => {
                wrong.push(format!("{place}: write `console`, and `$ ` before each command"));
            }
            Ok(None) => wrong.extend(run(&block).await.map(|why| format!("{place}: {why}"))),
            Ok(Some(file)) if !root().join(file).is_file() => {
                wrong.push(format!("{place}: there is no {file}"));
            }
            Ok(Some(_)) => {}
            Err(()) => wrong.push(format!("{place}: `{}` is no mark", block.mark)),
        }
    }
    assert!(wrong.is_empty(), "\n{}\n", wrong.join("\n"));
}

/// Returns the file whose test runs a block, or `None` for one that is run here. The reason of one
/// that is not run stands for a file that is there.
fn run_by(mark: &str) -> Result<Option<&str>, ()> {
    if mark.is_empty() || mark == "(other output)" {
        return Ok(None);
    }
    let inside = mark.strip_prefix('(').and_then(|mark| mark.strip_suffix(')')).ok_or(())?;
    match (inside.strip_prefix("run by "), inside.strip_prefix("not run: ")) {
        (Some(file), _) => Ok(Some(file)),
        (_, Some(reason)) if !reason.is_empty() => Ok(Some("Cargo.toml")),
        _ => Err(()),
    }
}

/// Runs the commands of a block one after the other, in a namespace of their own. Returns what is
/// wrong.
async fn run(block: &Block) -> Option<String> {
    let program = Program::new("cli-documents");
    let fleet = if block.page == "docs/command.md" { Some(fleet(&program).await) } else { None };
    let mut code = Some(0);
    let mut wrong = None;
    for Shown { command, output } in commands(&block.text) {
        if !["poolder ", "echo "].iter().any(|word| command.starts_with(word)) {
            wrong = Some(format!("`{command}` is not run here: give the block a mark"));
            break;
        }
        if fleet.is_some() {
            prepare(&program, command).await;
        }
        let ended = bash(&program, command, code).await;
        let is_failure = output.iter().any(|line| line.starts_with("poolder: "));
        // 6: the command works, but the check that it makes fails.
        let is_expected =
            if is_failure { ended.code != Some(0) } else { matches!(ended.code, Some(0 | 6)) };
        let differs = block.mark.is_empty() && !output.is_empty() && !shows(&ended.out, &output);
        if !is_expected || differs {
            let Ended { code, out, .. } = ended;
            wrong = Some(format!("`{command}` exits with {code:?} and writes:\n{out}"));
            break;
        }
        code = ended.code;
    }
    if let Some(fleet) = fleet {
        fleet.stop().await;
    }
    wrong
}

/// Runs a command after one that has ended with this exit code. Its output has both streams.
async fn bash(program: &Program, command: &str, code: Option<i32>) -> Ended {
    let mut line = command.to_owned();
    for (name, stand_in) in STAND_INS {
        line = line.replace(name, stand_in);
    }
    if let Some(node) = program.client().nodes().await.unwrap().first() {
        line = line.replace("web-1", &node.name);
    }
    let code = code.unwrap_or_default();
    let line = format!("exec 2>&1; set -o pipefail; (exit {code}); {line}");
    let mut command = program.bash(&line);
    // The zones that are compiled in, on every machine.
    command.env("TZDIR", "/nowhere").stderr(Stdio::inherit());
    done(&tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap())
}

/// Starts the queues, the pool and the batcher that the page about the command is about.
async fn fleet(program: &Program) -> Running {
    let client = program.client();
    let batcher = client.batcher::<u64>("rows");
    batcher.declare(BatchOptions::default()).await.unwrap();
    batcher.group("eu").push(1).await.unwrap();
    let imports = worker_fn(async |_: Import| Ok::<_, BoxError>(Done));
    let imports = Pool::new("imports").size(4).mode(Mode::Phash).worker(imports);
    let mail = Pool::new("mail").worker(worker_fn(welcome));
    let reports = Pool::new("reports").worker(worker_fn(async |_: Import| Ok::<_, BoxError>(Done)));
    let node = Node::builder(client.clone()).pool(mail).pool(imports).pool(reports);
    let running = start(node);
    let slots = client.pool::<Import>("imports");
    eventually("the fleet serves its slots", || async {
        slots.slots().await.is_ok_and(|slots| slots.iter().all(|slot| slot.node.is_some()))
            && client.nodes().await.is_ok_and(|nodes| nodes.len() == 1)
    })
    .await;
    running
}

/// Puts the job `mail/welcome-9` where the command expects it.
async fn prepare(program: &Program, command: &str) {
    let client = program.client();
    let is_new = command.contains("job enqueue") || command.contains("--all");
    if is_new || !command.contains("welcome-9") {
        return;
    }
    let is_dead = ["dead", "edit", "run-now", "blast"].iter().any(|word| command.contains(word));
    let user = if is_dead { 9 } else { 7 };
    let options =
        client.enqueue(Welcome { user }).id("welcome-9").policy(Policy::default().attempts(1));
    if is_dead || command.contains("job wait") {
        let receipt = options.keep_completion(Duration::from_secs(60)).await.unwrap();
        let end: Result<String, _> =
            client.job(&receipt).wait().timeout(Duration::from_secs(30)).await;
        assert_eq!(end.is_err(), is_dead, "{end:?}");
    } else {
        options.after(Duration::from_secs(3600)).await.unwrap();
    }
}

/// Returns whether the lines of a text have these among them, in this order.
fn shows(text: &str, lines: &[&str]) -> bool {
    let mut written = text.lines().map(blurred);
    lines.iter().all(|line| written.any(|other| other == blurred(line)))
}

/// Returns the words of a line, with one word for all that have digits, and one for all zones.
fn blurred(line: &str) -> Vec<&str> {
    let word = |word| match word {
        "CEST" | "CET" | "EDT" | "EST" | "UTC" => "zone",
        _ if str::contains(word, |c: char| c.is_ascii_digit()) => "0",
        _ => word,
    };
    line.split_whitespace().map(word).collect()
}

fn commands(text: &str) -> Vec<Shown<'_>> {
    let mut commands: Vec<Shown<'_>> = vec![];
    for line in text.lines() {
        match (line.strip_prefix("$ "), commands.last_mut()) {
            (Some(command), _) => commands.push(Shown { command, output: vec![] }),
            (None, Some(last)) if !line.trim().is_empty() => last.output.push(line),
            _ => {}
        }
    }
    commands
}

/// Returns the blocks of commands of all documents.
fn blocks() -> Vec<Block> {
    let mut pages = vec![root().join("README.md"), root().join("CONTRIBUTING.md")];
    for folder in ["docs", "docs/contributing", "docs/decisions", "docs/benchmarks"] {
        let entries = std::fs::read_dir(root().join(folder)).unwrap();
        pages.extend(entries.map(|entry| entry.unwrap().path()));
    }
    pages.retain(|page| page.extension().is_some_and(|end| end == "md"));
    pages.sort();
    let found: Vec<Block> = pages.iter().flat_map(|page| blocks_of(page)).collect();
    assert!(found.len() > 15, "the documents have commands");
    found
}

fn blocks_of(path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).unwrap();
    let page = path.strip_prefix(root()).unwrap().display().to_string();
    let (mut blocks, mut open): (Vec<Block>, Option<Block>) = (vec![], None);
    for (line, content) in (1..).zip(text.lines()) {
        match (content.trim_start().strip_prefix("```"), open.take()) {
            (Some(info), None) => {
                let (language, mark) = info.split_once(' ').unwrap_or((info, ""));
                let (language, mark) = (language.to_owned(), mark.trim().to_owned());
                open =
                    Some(Block { page: page.clone(), line, language, mark, text: String::new() });
            }
            (Some(_), Some(block)) => blocks.push(block),
            (None, Some(mut block)) => {
                block.text.push_str(content);
                block.text.push('\n');
                open = Some(block);
            }
            (None, None) => {}
        }
    }
    blocks.retain(|block| SHELLS.contains(&&*block.language) || block.text.starts_with("$ "));
    blocks
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

#[test]
fn marks_and_outputs_are_understood() {
    assert_eq!((run_by(""), run_by("(other output)")), (Ok(None), Ok(None)));
    assert_eq!(run_by("(run by a/b.rs)"), Ok(Some("a/b.rs")));
    assert!(run_by("(not run: minutes)").is_ok());
    assert!(run_by("(not run: )").is_err() && run_by("no-run").is_err());
    let block = commands("$ a\nx 1\n\ny\n$ b\n");
    let expected =
        [Shown { command: "a", output: vec!["x 1", "y"] }, Shown { command: "b", output: vec![] }];
    assert_eq!(block, expected);
    assert!(shows("head\nx  2\ny CET\n", &["x 1", "y UTC"]));
    assert!(!shows("y\nx 2\n", &["x 1", "y"]) && !shows("x\n", &["x 1"]));
}
