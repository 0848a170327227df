//! The check of the dependencies with `cargo-deny`: licences, banned and doubled crates, sources, and
//! advisories where their database is on this machine.

use std::path::PathBuf;
use std::process::Command;

use crate::{cargo, tools};

/// The workspaces whose dependencies are checked. `bench` is not among them: it measures other
/// queues, which bring what we would not take, such as a second Redis client.
const WORKSPACES: [&str; 6] =
    [".", "torture", "trials", "examples/actix", "examples/outbox", "examples/sqlite-batcher"];

/// The version that is installed where there is none.
const VERSION: &str = "0.20.2";

/// Runs `cargo deny`, and installs it where it is missing. Where it cannot be installed, this prints
/// that nothing was checked, and succeeds: no other step needs it.
pub(crate) fn check() -> Result<(), String> {
    let Some(tool) = tools::find("cargo-deny", VERSION, &["--no-default-features"]) else {
        println!("NOT RUN: cargo-deny cannot be installed: cargo install cargo-deny --locked");
        return Ok(());
    };
    let mut checks = vec!["licenses", "bans", "sources"];
    match advisories() {
        Some(_) => checks.push("advisories"),
        None => println!("NOT RUN: advisories: their database is not here: cargo deny fetch db"),
    }
    for workspace in WORKSPACES {
        let manifest = format!("{workspace}/Cargo.toml");
        let mut command = Command::new(&tool);
        command.current_dir(cargo::root());
        command.args(["--offline", "--locked", "--workspace", "--manifest-path", &manifest]);
        command.args(["--config", "deny.toml", "check", "--hide-inclusion-graph"]).args(&checks);
        if !cargo::status(&mut command)?.success() {
            return Err(format!("cargo deny refuses a dependency of the workspace {workspace}"));
        }
    }
    Ok(())
}

/// Returns the folder of the advisories that `cargo deny fetch db` has fetched, if there is one.
fn advisories() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))?;
    let folders = ["advisory-dbs", "advisory-db"].map(|name| home.join(name));
    folders.into_iter().find(|folder| folder.read_dir().is_ok_and(|mut it| it.next().is_some()))
}
