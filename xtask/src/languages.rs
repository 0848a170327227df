//! Runs the producers of `docs/other-languages.md` as they stand on that page, and a worker in Rust
//! that has to greet each of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use poolder_devserver::{Install, Server};

use crate::{cargo, programs, server};

/// The page with the producers.
const PAGE: &str = "docs/other-languages.md";

/// Directory in which the client libraries are installed, outside the system's packages.
const LIBRARIES: &str = "target/poolder-dev/languages";

/// A language on the page.
struct Language {
    /// The name of its blocks of code, and the name that its job has.
    block: &'static str,
    name: &'static str,
    /// The file in [`LIBRARIES`] into which the block is written.
    file: &'static str,
    /// The program that runs the file, below [`LIBRARIES`] if it has a directory.
    program: &'static str,
    /// The command lines that install the client library in [`LIBRARIES`], or fail without it.
    install: &'static [&'static [&'static str]],
}

const LANGUAGES: [Language; 3] = [
    Language {
        block: "console (run by xtask/src/languages.rs)",
        name: "shell",
        file: "producer.sh",
        program: "bash",
        install: &[&["redis-cli", "--version"]],
    },
    Language {
        block: "python",
        name: "Python",
        file: "producer.py",
        program: "bin/python",
        install: &[
            &["python3", "-m", "venv", "."],
            &["bin/pip", "install", "--quiet", "--disable-pip-version-check", "redis==6.4.0"],
        ],
    },
    Language {
        block: "javascript",
        name: "Node",
        file: "producer.mjs",
        program: "node",
        install: &[&["npm", "install", "--silent", "--no-save", "--prefix", ".", "redis@5.8.2"]],
    },
];

/// Runs each producer. One whose library cannot be installed here prints that it was not run.
pub(crate) fn check(install: Install) -> Result<(), String> {
    let root = cargo::root();
    let dir = root.join(LIBRARIES);
    fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
    let page = fs::read_to_string(root.join(PAGE)).map_err(|error| format!("{PAGE}: {error}"))?;
    for language in &LANGUAGES {
        let block =
            block(&page, language.block).ok_or(format!("{PAGE} has no {}", language.block))?;
        if !language.install.iter().all(|words| run(&dir, words, None).is_ok()) {
            println!(
                "NOT RUN: {}: its program or its library for Redis cannot be had",
                language.name
            );
            continue;
        }
        let text = if language.program == "bash" { script(block) } else { block.to_owned() };
        fs::write(dir.join(language.file), text).map_err(|error| error.to_string())?;
        produce_and_greet(language, &dir, install)?;
    }
    Ok(())
}

/// Runs a producer, then the worker that runs its job.
fn produce_and_greet(language: &Language, dir: &Path, install: Install) -> Result<(), String> {
    let server = Server::builder().install(install).tcp().start().map_err(|it| it.to_string())?;
    run(dir, &[language.program, language.file], Some(&server))?;
    let mut worker = programs::program("hello")?;
    server::for_applications(&mut worker, &server);
    let output = worker.output().map_err(|error| format!("hello: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let greeting = format!("hello, {}!", language.name);
    if !text.contains(&greeting) {
        return Err(format!("the worker does not say `{greeting}`:\n{text}"));
    }
    println!("{greeting}");
    Ok(())
}

/// Runs a command line in `dir`, with the URL of the server if there is one.
fn run(dir: &Path, words: &[&str], server: Option<&Server>) -> Result<(), String> {
    let program = if words[0].contains('/') { dir.join(words[0]) } else { words[0].into() };
    let mut command = Command::new(program);
    command.args(&words[1..]).current_dir(dir);
    if let Some(server) = server {
        let url = server.tcp_url().ok_or("the server has no port")?;
        command.env("POOLDER_REDIS_URL", url);
    }
    let status = cargo::status(&mut command)?;
    if status.success() { Ok(()) } else { Err(format!("{}: {status}", words.join(" "))) }
}

/// Returns the commands of a block for bash, with the server that `redis-cli` needs.
fn script(block: &str) -> String {
    let server = "redis-cli() { command redis-cli -u \"$POOLDER_REDIS_URL\" \"$@\"; }\n";
    let commands = block.lines().map(|line| format!("{}\n", line.trim_start_matches("$ ")));
    ["set -e\n", server].into_iter().map(str::to_owned).chain(commands).collect()
}

/// Returns the first block of code of this language.
fn block<'a>(page: &'a str, language: &str) -> Option<&'a str> {
    let (_, after) = page.split_once(&format!("```{language}\n"))?;
    after.split_once("```").map(|(block, _)| block)
}
