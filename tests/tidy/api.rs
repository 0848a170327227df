//! The public surface: every item that a user of the facade can name, one a line.
//!
//! `docs/public-api.txt` is the listing of the committed sources. A change of a public item changes
//! it in the same commit: `cargo xtask api --write`. The listing is read from the sources, so types
//! in signatures are written as they are there.

mod growth;
mod listing;
mod members;
mod sources;
mod text;

use std::fs;
use std::path::PathBuf;

use crate::{read, root};

fn committed() -> PathBuf {
    root().join("docs/public-api.txt")
}

#[test]
fn the_committed_listing_is_that_of_the_sources() {
    let (committed, now) = (read(&committed()), listing::listing());
    let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
    let (before, after) = (lines(&committed), lines(&now));
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    let changed: Vec<String> = gone.chain(new).collect();
    assert!(
        committed == now,
        "the public surface has changed; when that is meant, run `cargo xtask api --write`:\n{}\n",
        changed.join("\n")
    );
}

/// Prints the listing, or writes it when `POOLDER_API` is `write`; `cargo xtask api` runs this.
#[test]
fn report() {
    let now = listing::listing();
    if std::env::var_os("POOLDER_API").is_some_and(|mode| mode == "write") {
        fs::write(committed(), now).expect("docs/public-api.txt can be written");
    } else {
        println!("{now}");
    }
}
