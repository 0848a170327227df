//! The arguments after the command's name.

use std::ffi::OsString;

use poolder_devserver::Install;

/// The arguments before and after the first `--`.
#[derive(Debug, Default)]
pub(crate) struct Arguments {
    pub(crate) before: Vec<OsString>,
    /// The arguments after `--`; `None` when there is no `--`.
    pub(crate) after: Option<Vec<OsString>>,
    yes: bool,
}

impl Arguments {
    pub(crate) fn new(words: impl Iterator<Item = OsString>) -> Self {
        let mut arguments = Self::default();
        for word in words {
            match &mut arguments.after {
                Some(after) => after.push(word),
                None if word == "--" => arguments.after = Some(Vec::new()),
                None if word == "--yes" => arguments.yes = true,
                None => arguments.before.push(word),
            }
        }
        arguments
    }

    /// Returns the installations that are allowed: with `--yes` or `CI=true` all, without a
    /// question.
    pub(crate) fn install(&self) -> Install {
        let ci = std::env::var_os("CI").is_some_and(|value| value == "true");
        if self.yes || ci { Install::Yes } else { Install::Ask }
    }

    /// Returns an error if there are arguments before `--`, for commands that take none.
    pub(crate) fn expect_none(&self) -> Result<(), String> {
        match self.before.first() {
            Some(word) => Err(format!("`{}` is not understood: see cargo xtask", word.display())),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Arguments;
    use poolder_devserver::Install;
    use std::ffi::OsString;

    fn arguments(line: &str) -> Arguments {
        Arguments::new(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn only_arguments_before_the_dashes_are_parsed() {
        let plain = arguments("--lib name -- --yes -- x");
        assert_eq!(plain.before, ["--lib", "name"]);
        assert_eq!(plain.after.expect("dashes"), ["--yes", "--", "x"]);
        assert!(!plain.yes);
        let yes = arguments("a --yes b");
        assert_eq!(yes.before, ["a", "b"]);
        assert_eq!((yes.install(), yes.after), (Install::Yes, None));
    }

    #[test]
    fn unknown_arguments_are_named() {
        assert!(arguments("--yes -- x").expect_none().is_ok());
        assert!(arguments("--port 1").expect_none().is_err_and(|text| text.contains("--port")));
    }
}
