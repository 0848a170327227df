//! The error messages of the macros.
//!
//! After a change of a message, run `TRYBUILD=overwrite cargo test -p poolder-macros --test ui` and
//! read the difference.

use std::process::Command;

/// The compiler whose own messages `tests/ui/compiler` holds. Other compilers word them
/// differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn mistakes_are_explained() {
    let cases = trybuild::TestCases::new();
    cases.compile_fail("tests/ui/*.rs");
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    if version.starts_with(COMPILER.as_bytes()) {
        cases.compile_fail("tests/ui/compiler/*.rs");
    } else {
        eprintln!("tests/ui/compiler is left out: it is worded by {COMPILER}x");
    }
}
