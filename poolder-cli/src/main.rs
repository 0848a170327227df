//! The `poolder` program: what an operator does from a terminal.
//!
//! | file | what |
//! |---|---|
//! | `args` | what all commands share: the connection, the form of the output |
//! | `show` | tables for people, JSON for programs |
//! | `schedule` | the commands about schedules; other nouns will stand beside it |

mod args;
mod schedule;
mod show;

use std::process::ExitCode;

use clap::Parser;
use poolder_core::Error;

use args::{Args, Noun};

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&format!("no runtime: {error}")),
    };
    match runtime.block_on(run(&args)) {
        Ok(output) => {
            // Whoever reads may have seen enough: `poolder … | head` is no failure.
            let _ = std::io::Write::write_all(&mut std::io::stdout(), output.as_bytes());
            ExitCode::SUCCESS
        }
        Err(error) => failed(&error.to_string()),
    }
}

async fn run(args: &Args) -> Result<String, Error> {
    match &args.noun {
        Noun::Schedule { verb } => schedule::run(&args.common, verb).await,
    }
}

/// One line, whatever the server or a library has said.
fn failed(reason: &str) -> ExitCode {
    let words: Vec<&str> = reason.split_whitespace().collect();
    eprintln!("poolder: {}", words.join(" "));
    ExitCode::FAILURE
}
