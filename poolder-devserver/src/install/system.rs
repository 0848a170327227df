//! Installs a server with the system's package manager, with the user's consent.

use std::process::{Command, Stdio};
use std::time::Duration;

use super::{Install, consent, say};
use crate::locate::{Found, on_path};
use crate::process::run;

/// A package manager and its packages that contain a server, best first.
struct Manager {
    program: &'static str,
    arguments: &'static [&'static str],
    packages: &'static [&'static str],
    /// Arguments of a command that updates the package lists first.
    refresh: Option<&'static [&'static str]>,
    root: bool,
}

/// `redis-tools` contains the server without the service that would listen on port 6379.
const MANAGERS: [Manager; 6] = [
    Manager {
        program: "apt-get",
        arguments: &["install", "-y", "--no-install-recommends"],
        packages: &["redis-tools"],
        refresh: Some(&["update"]),
        root: true,
    },
    Manager {
        program: "dnf",
        arguments: &["install", "-y"],
        packages: &["valkey", "redis"],
        refresh: None,
        root: true,
    },
    Manager {
        program: "zypper",
        arguments: &["--non-interactive", "install"],
        packages: &["valkey", "redis"],
        refresh: None,
        root: true,
    },
    Manager {
        program: "pacman",
        arguments: &["-S", "--noconfirm", "--needed"],
        packages: &["valkey", "redis"],
        refresh: None,
        root: true,
    },
    Manager {
        program: "apk",
        arguments: &["add"],
        packages: &["valkey", "redis"],
        refresh: None,
        root: true,
    },
    Manager {
        program: "brew",
        arguments: &["install"],
        packages: &["valkey", "redis"],
        refresh: None,
        root: false,
    },
];

/// Installs a server with the package manager of this system.
pub(super) fn install(install: Install) -> Result<Found, String> {
    let manager = present().ok_or("none is known")?;
    let as_root = is_root();
    let mut reason = String::new();
    consent::given(install, &manager.line(as_root))?;
    if let Some(refresh) = manager.refresh {
        // The installation may also work with old lists.
        let _ = execute(&manager.words(as_root, refresh, &[]));
    }
    for package in manager.packages {
        let words = manager.words(as_root, manager.arguments, &[package]);
        match execute(&words) {
            Ok(()) => match on_path() {
                Some(found) => return Ok(found),
                None => reason = format!("{package} has no server of version 6.2 or newer"),
            },
            Err(error) => reason = error,
        }
    }
    Err(reason)
}

/// Returns the instruction for this system: the install command, if the package manager is known.
pub(super) fn advice() -> String {
    match present() {
        Some(manager) => format!("run: {}", manager.line(is_root())),
        None => "install Valkey, or Redis 6.2 or newer, so that it is on PATH".to_owned(),
    }
}

impl Manager {
    fn words(&self, as_root: bool, arguments: &[&str], packages: &[&str]) -> Vec<String> {
        let sudo = if self.root && !as_root { Some("sudo") } else { None };
        let words = sudo.into_iter().chain([self.program]);
        words.chain(arguments.iter().chain(packages).copied()).map(str::to_owned).collect()
    }

    fn line(&self, as_root: bool) -> String {
        self.words(as_root, self.arguments, &self.packages[..1]).join(" ")
    }
}

fn present() -> Option<&'static Manager> {
    MANAGERS.iter().find(|manager| exists(manager.program))
}

fn exists(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|dir| dir.join(program).is_file())
}

fn is_root() -> bool {
    run(Command::new("id").arg("-u"), Duration::from_secs(5)).is_ok_and(|uid| uid.trim() == "0")
}

/// Runs a command with access to the terminal, so that sudo can ask for a password and the user
/// sees the output.
fn execute(words: &[String]) -> Result<(), String> {
    let line = words.join(" ");
    say(&line);
    let (program, arguments) = words.split_first().ok_or("no command")?;
    let mut command = Command::new(program);
    // The command's output must not mix with the caller's standard output.
    command.args(arguments).stdout(Stdio::from(std::io::stderr()));
    match command.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`{line}`: {status}")),
        Err(error) => Err(format!("`{line}`: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::MANAGERS;

    #[test]
    fn only_brew_works_without_root() {
        let lines: Vec<_> = MANAGERS.iter().map(|manager| manager.line(false)).collect();
        assert_eq!(lines[0], "sudo apt-get install -y --no-install-recommends redis-tools");
        assert_eq!(lines[1], "sudo dnf install -y valkey");
        assert_eq!(lines[5], "brew install valkey");
        assert_eq!(MANAGERS[4].line(true), "apk add valkey");
    }
}
