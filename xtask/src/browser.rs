//! `cargo xtask browser`: looks at the dashboard in Chromium, and clicks as a visitor does. The
//! checks are the test `browser` of `poolder-web`, which `cargo test` leaves out.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use poolder_devserver::{Install, ensure};

use crate::arguments::Arguments;
use crate::cargo;

/// The version of axe-core whose hash is in `poolder-web/tests/browser/main.rs`.
const AXE: &str = "axe-core@4.14.1";

/// Directory into which axe-core is fetched.
const FETCHED: &str = "target/poolder-dev/browser";

/// The programs under their names on Debian and elsewhere.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];
const DRIVERS: &[&str] = &["chromedriver"];

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let is_known = |word: &OsString| {
        word == "--sample" || word == "--screenshots" || !word.as_encoded_bytes().starts_with(b"-")
    };
    if let Some(word) = arguments.before.iter().find(|word| !is_known(word)) {
        return Err(format!("`{}` is not understood: see cargo xtask", word.display()));
    }
    Tools::find(arguments.install())?.check(&arguments.before, arguments.install())
}

/// Looks at each page once, and clicks each button. Prints that nothing was looked at where there is
/// no browser, and none can be installed.
pub(crate) fn sample(install: Install) -> Result<(), String> {
    let tools = match Tools::find(install) {
        Ok(tools) => tools,
        Err(reason) => {
            println!("NOT RUN: the dashboard in a browser: {reason}");
            return Ok(());
        }
    };
    match tools.check(&["--sample".into()], install)? {
        ExitCode::SUCCESS => Ok(()),
        _ => Err("the dashboard is not right in a browser".into()),
    }
}

/// The programs and the file that the checks need beside the workspace.
struct Tools {
    browser: PathBuf,
    driver: PathBuf,
    axe: PathBuf,
}

impl Tools {
    /// Returns the tools, or the reason why there are none. Debian's packages are installed where
    /// that is allowed.
    fn find(install: Install) -> Result<Self, String> {
        let axe = axe()?;
        let both = || Some((on_path(BROWSERS)?, on_path(DRIVERS)?));
        if both().is_none() && install == Install::Yes {
            install_browser()?;
        }
        let (browser, driver) = both().ok_or(
            "there is no chromium or no chromedriver; on Debian, \
             `apt-get install chromium chromium-driver` brings both",
        )?;
        Ok(Self { browser, driver, axe })
    }

    /// Builds and runs the checks.
    fn check(&self, words: &[OsString], install: Install) -> Result<ExitCode, String> {
        ensure(install).map_err(|error| error.to_string())?;
        let mut command = cargo::cargo();
        // With the features of the whole workspace, so that nothing is compiled once more.
        command.args(["test", "--quiet", "--locked", "--workspace", "--test", "browser", "--"]);
        // Cargo runs the checks in the directory of their package.
        let is_dir = |at: usize| at > 0 && words[at - 1] == "--screenshots";
        command.args(words.iter().enumerate().map(|(at, word)| {
            if is_dir(at) { cargo::root().join(word).into() } else { word.clone() }
        }));
        command.env("POOLDER_CHROMIUM", &self.browser).env("POOLDER_CHROMEDRIVER", &self.driver);
        command.env("POOLDER_AXE", &self.axe);
        Ok(cargo::exit_code(cargo::status(&mut command)?))
    }
}

/// Returns the first of these programs that is on the `PATH`.
fn on_path(names: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    let dirs: Vec<PathBuf> = env::split_paths(&path).collect();
    let mut found = names.iter().flat_map(|name| dirs.iter().map(move |dir| dir.join(name)));
    found.find(|program| program.is_file())
}

fn install_browser() -> Result<(), String> {
    println!("installing chromium and chromium-driver with apt-get");
    let apt = |words: &[&str]| {
        let mut command = Command::new("apt-get");
        command.args(words).env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        cargo::status(&mut command).is_ok_and(|status| status.success())
    };
    // The installation may also work with old lists.
    apt(&["update", "-qq"]);
    let install = ["install", "-qq", "-y", "--no-install-recommends"];
    match apt(&[&install[..], &["chromium", "chromium-driver"]].concat()) {
        true => Ok(()),
        false => Err("apt-get does not install chromium and chromium-driver".into()),
    }
}

/// Returns the path of axe-core, which npm fetches once.
fn axe() -> Result<PathBuf, String> {
    let dir = cargo::root().join(FETCHED);
    let script = dir.join("package/axe.min.js");
    if !script.is_file() {
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        println!("fetching {AXE} with npm into {FETCHED}");
        fetch(&dir).map_err(|reason| format!("{AXE} cannot be had: {reason}"))?;
    }
    Ok(script)
}

fn fetch(dir: &Path) -> Result<(), String> {
    let archive =
        cargo::output(Command::new("npm").args(["pack", "--silent", AXE]).current_dir(dir))?;
    let mut unpack = Command::new("tar");
    unpack.args(["-xzf", archive.trim(), "package/axe.min.js", "package/LICENSE"]).current_dir(dir);
    cargo::output(&mut unpack).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::{AXE, on_path};
    use crate::cargo;

    #[test]
    fn the_checks_know_the_hash_of_this_version() {
        let path = cargo::root().join("poolder-web/tests/browser/main.rs");
        let text = std::fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("of {}", AXE.replace('@', " "))), "the version differs");
        assert!(on_path(&["no-such-program", "cargo"]).is_some());
        assert!(on_path(&["no-such-program"]).is_none());
    }
}
