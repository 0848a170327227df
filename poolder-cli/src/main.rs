//! The `poolder` program, by which operators manage Poolder from a terminal.
//!
//! | file | contents |
//! |---|---|
//! | `args` | the options that all commands share: the connection, the form of the output |
//! | `show` | output as tables and as JSON |
//! | `schedule` | the commands about schedules |

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
        Err(error) => return failed(&format!("the runtime cannot start: {error}")),
    };
    match runtime.block_on(run(&args)) {
        Ok(output) => {
            // The reader may have closed the pipe: `poolder … | head` is no failure.
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

/// Prints an error as one line, even when its text has line breaks.
fn failed(reason: &str) -> ExitCode {
    let words: Vec<&str> = reason.split_whitespace().collect();
    eprintln!("poolder: {}", words.join(" "));
    ExitCode::FAILURE
}
