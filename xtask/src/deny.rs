//! The check of the dependencies with `cargo-deny`: licences, banned and doubled crates, sources, and
//! advisories where their database is on this machine.

use std::path::PathBuf;
use std::process::Stdio;

use crate::cargo;

/// The workspaces whose dependencies are checked. The others hold programs that are never published.
const MANIFEST: &str = "Cargo.toml";

/// Runs `cargo deny`. Where it is not installed, this prints that nothing was checked, and succeeds:
/// its build takes minutes, and no other step needs it.
pub(crate) fn check() -> Result<(), String> {
    let found = cargo::cargo()
        .args(["deny", "--version"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if !found {
        println!("NOT RUN: cargo-deny is not installed: cargo install cargo-deny --locked");
        return Ok(());
    }
    let mut checks = vec!["licenses", "bans", "sources"];
    match advisories() {
        Some(_) => checks.push("advisories"),
        None => println!("NOT RUN: advisories: their database is not here: cargo deny fetch db"),
    }
    let mut command = cargo::cargo();
    command.args(["deny", "--manifest-path", MANIFEST, "check", "--disable-fetch"]).args(checks);
    let status = cargo::status(&mut command)?;
    if status.success() { Ok(()) } else { Err("cargo deny refuses a dependency".into()) }
}

/// Returns the folder of the advisories that `cargo deny fetch db` has fetched, if there is one.
fn advisories() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")))?;
    let folders = ["advisory-dbs", "advisory-db"].map(|name| home.join(name));
    folders.into_iter().find(|folder| folder.read_dir().is_ok_and(|mut it| it.next().is_some()))
}
