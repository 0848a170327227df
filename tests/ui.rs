//! The compiler's messages about handlers with mistakes: each must name the mend.
//!
//! After a change of a message, run `TRYBUILD=overwrite cargo test -p poolder --test ui` and read
//! the difference as a user would.

use std::process::Command;

/// The compiler whose messages `tests/ui` holds. Other compilers word them differently.
const COMPILER: &str = "rustc 1.95.";

#[test]
fn mistakes_in_handlers_are_explained() {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = Command::new(rustc).arg("--version").output().unwrap().stdout;
    if version.starts_with(COMPILER.as_bytes()) {
        trybuild::TestCases::new().compile_fail("tests/ui/handlers/*.rs");
    } else {
        eprintln!("tests/ui is left out: it is worded by {COMPILER}x");
    }
}
