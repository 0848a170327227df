//! The examples and programs of the workspace, built as its tests build them.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use crate::cargo;

/// Returns a command for an example or a program of the workspace, in the workspace's root.
///
/// All of them are built at once, with the features that `cargo test --workspace` uses. A build of
/// one package has fewer features, so that a run of CI would compile most crates once more for it.
pub(crate) fn program(name: &str) -> Result<Command, String> {
    let mut build = cargo::cargo();
    build.args(["build", "--workspace", "--examples", "--bins", "--quiet", "--locked"]);
    let built = executables(&mut build)?;
    let path = built.into_iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
    let mut command = Command::new(path.ok_or(format!("the workspace has no program {name}"))?);
    command.current_dir(cargo::root());
    Ok(command)
}

/// Runs a command of cargo that builds, and returns the paths of the executables.
pub(crate) fn executables(build: &mut Command) -> Result<Vec<PathBuf>, String> {
    build.args(["--message-format", "json-render-diagnostics"]).stderr(Stdio::inherit());
    Ok(cargo::output(build)?.lines().filter_map(executable).collect())
}

/// Returns the path of the executable that a message of cargo names.
fn executable(message: &str) -> Option<PathBuf> {
    let (_, rest) = message.split_once("\"executable\":\"")?;
    rest.split('"').next().map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::executable;
    use std::path::PathBuf;

    #[test]
    fn a_message_names_an_executable_or_none() {
        let built = r#"{"reason":"compiler-artifact","executable":"/a/b/hello","fresh":true}"#;
        assert_eq!(executable(built), Some(PathBuf::from("/a/b/hello")));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable(r#"{"reason":"build-finished","success":true}"#), None);
    }
}
