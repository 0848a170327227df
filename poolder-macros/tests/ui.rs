//! What the macros say about mistakes.
//!
//! After a change of the words: `TRYBUILD=overwrite cargo test -p poolder-macros --test ui`, and
//! read the difference.

use std::process::Command;

/// The compiler whose own words `tests/ui/compiler` holds; others say the same in other words.
const WORDED_BY: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    if version.starts_with(WORDED_BY.as_bytes()) {
        cases.compile_fail("tests/ui/compiler/*.rs");
    } else {
        eprintln!("tests/ui/compiler is left out: it is worded by {WORDED_BY}x");
    }
}
