//! Asks for permission before the machine is changed.

use std::io::{self, BufRead, IsTerminal, Write};

use super::Install;

/// Returns an error unless the command `line` may be run.
pub(super) fn given(install: Install, line: &str) -> Result<(), String> {
    match install {
        Install::Never => Err("not allowed".to_owned()),
        Install::Yes => Ok(()),
        Install::Ask if io::stdin().is_terminal() && io::stderr().is_terminal() => ask(line),
        Install::Ask => Err(format!("`{line}` needs a yes: pass --yes or set CI=true")),
    }
}

fn ask(line: &str) -> Result<(), String> {
    let mut answer = String::new();
    let mut terminal = io::stderr().lock();
    let asked = write!(terminal, "No Redis or Valkey server was found. Run `{line}`? [y/N] ")
        .and_then(|()| terminal.flush())
        .and_then(|()| io::stdin().lock().read_line(&mut answer));
    match asked {
        Ok(_) if is_yes(&answer) => Ok(()),
        Ok(_) => Err(format!("`{line}` was declined")),
        Err(error) => Err(format!("could not ask whether to run `{line}`: {error}")),
    }
}

fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::{Install, given, is_yes};

    #[test]
    fn only_a_yes_is_a_yes() {
        assert!(["y\n", "YES", " yes "].into_iter().all(is_yes));
        assert!(!["", "\n", "n", "no", "yesterday"].into_iter().any(is_yes));
    }

    #[test]
    fn never_means_never() {
        assert!(given(Install::Never, "x").is_err());
        assert_eq!(given(Install::Yes, "x"), Ok(()));
    }
}
