//! Counts real files in real processes, kills one of them, and checks that every file counts once.
//!
//! `cargo xtask demo [DIR]` builds this program and runs it with a private server. The program is
//! one process at first, and starts itself again for the others:
//!
//! - the **coordinator** ([`coordinator`], [`stage`]) finds the files, starts the processes, kills
//!   one of them, draws the screen and checks the result;
//! - the **client** ([`client`]) enqueues one job per file, and ends;
//! - the **workers** ([`worker`]) run the jobs ([`jobs`]): the first stage measures a file
//!   ([`measure`]), the second adds it to the totals of its extension ([`tally`]).
//!
//! To learn how Poolder is used, read `jobs`, `tally`, `client` and `worker`. The other modules
//! only run the demo.

mod client;
mod coordinator;
mod events;
mod files;
mod jobs;
mod measure;
mod processes;
mod progress;
mod report;
mod screen;
mod space;
mod stage;
mod tally;
mod worker;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

/// The environment variable that tells a child process its role. Users do not set it.
const ROLE: &str = "POOLDER_DEMO_ROLE";

const HELP: &str = "\
Usage: poolder-demo [--watched] [DIR]

Counts the words of every file under DIR with Poolder, in several processes of which one is
killed, and checks the result. Without DIR: the sources of this workspace's dependencies.
With --watched the namespace is `demo`, and its keys stay; the server must be private.
The server is the one in POOLDER_REDIS_URL; `cargo xtask demo [DIR]` brings a private one.";

#[tokio::main]
async fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("POOLDER_LOG"))
        .with_writer(std::io::stderr)
        .init();
    let role = std::env::var(ROLE).unwrap_or_default();
    let result = match role.as_str() {
        "client" => client::run().await.map(|()| ExitCode::SUCCESS),
        "worker" => worker::run(false).await.map(|()| ExitCode::SUCCESS),
        "doomed worker" => worker::run(true).await.map(|()| ExitCode::SUCCESS),
        _ => {
            let mut words: Vec<OsString> = std::env::args_os().skip(1).collect();
            let is_watched = words.first().is_some_and(|word| word == "--watched");
            if is_watched {
                words.remove(0);
            }
            match words.as_slice() {
                [] => coordinator::run(None, is_watched).await,
                [word] if word == "--help" || word == "-h" => {
                    println!("{HELP}");
                    return ExitCode::SUCCESS;
                }
                [dir] if !dir.as_encoded_bytes().starts_with(b"-") => {
                    coordinator::run(Some(PathBuf::from(dir)), is_watched).await
                }
                _ => {
                    eprintln!("{HELP}");
                    return ExitCode::from(2);
                }
            }
        }
    };
    result.unwrap_or_else(|error| {
        eprintln!("{}: {error}", if role.is_empty() { "demo" } else { &role });
        ExitCode::FAILURE
    })
}
