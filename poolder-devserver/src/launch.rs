//! A server program or a Docker image of a server, and the command line that runs it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process;
use crate::version::{OLDEST, Version};

/// A server that can be started: a program or an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Launch {
    Program(Program),
    /// An image for a Docker engine.
    Docker(String),
}

impl fmt::Display for Launch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(program) => program.path.display().fmt(f),
            Self::Docker(image) => write!(f, "the Docker image {image}"),
        }
    }
}

/// An executable file that acts as a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) path: PathBuf,
    /// The name by which the program must be called to act as a server.
    pub(crate) alias: Option<&'static str>,
    /// Directories of its shared libraries, if the system does not have them.
    pub(crate) libraries: Vec<PathBuf>,
}

/// File names of server programs, best first, each with the name by which to call the program.
/// Debian's `redis-tools` contains the server only as `redis-check-rdb`, which checks its own name.
pub(crate) const NAMES: [(&str, Option<&str>); 4] = [
    ("valkey-server", None),
    ("redis-server", None),
    ("valkey-check-rdb", Some("valkey-server")),
    ("redis-check-rdb", Some("redis-server")),
];

impl Program {
    /// Returns the program at a path, with the name that makes it act as a server.
    pub(crate) fn at(path: PathBuf) -> Self {
        let known = NAMES.iter().find(|(name, _)| path.file_name() == Some(OsStr::new(name)));
        Self { path, alias: known.and_then(|(_, alias)| *alias), libraries: Vec::new() }
    }

    /// Runs `--version`. Returns an error for a program that is not a server, or older than 6.2.
    pub(crate) fn version(&self) -> Result<Version, String> {
        let mut command = Command::new(&self.path);
        if let Some(alias) = self.alias {
            command.arg0(alias);
        }
        if let Some(value) = self.library_path() {
            command.env("LD_LIBRARY_PATH", value);
        }
        let printed = process::run(command.arg("--version"), Duration::from_secs(10))?;
        let version = Version::parse(&printed)
            .ok_or_else(|| format!("{} is not a Redis or Valkey server", self.path.display()))?;
        if version.is_supported() {
            return Ok(version);
        }
        let (major, minor) = OLDEST;
        Err(format!("{} is {version}, {major}.{minor} or newer is needed", self.path.display()))
    }

    /// Returns the command line that starts the program, for a shell's `"$@"`. If the program needs
    /// an alias, a symbolic link is made in `dir`. `runner` is the program that runs this one, with
    /// its own arguments; empty for none.
    pub(crate) fn command(
        &self,
        dir: &Path,
        environment: &[(String, OsString)],
        runner: &[OsString],
    ) -> io::Result<Vec<OsString>> {
        let libraries = self.library_path().map(|value| ("LD_LIBRARY_PATH".to_owned(), value));
        let mut words: Vec<OsString> = libraries
            .iter()
            .chain(environment)
            .map(|(name, value)| {
                let mut assignment = OsString::from(format!("{name}="));
                assignment.push(value);
                assignment
            })
            .collect();
        if !words.is_empty() {
            words.insert(0, OsString::from("env"));
        }
        words.extend_from_slice(runner);
        match self.alias {
            // A shell cannot choose argv[0], but a symbolic link sets it.
            Some(alias) => {
                let link = dir.join(alias);
                std::os::unix::fs::symlink(&self.path, &link)?;
                words.push(link.into());
            }
            None => words.push(self.path.clone().into()),
        }
        Ok(words)
    }

    fn library_path(&self) -> Option<OsString> {
        if self.libraries.is_empty() {
            return None;
        }
        let inherited = std::env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
        let inherited = std::env::split_paths(&inherited).filter(|p| !p.as_os_str().is_empty());
        std::env::join_paths(self.libraries.iter().cloned().chain(inherited)).ok()
    }
}

/// Returns the command line that runs a container. The container listens on `port` of this host
/// only. It shares `dir` and runs as the owner of `dir`, so that the log and the append-only file
/// can be read and removed from outside.
pub(crate) fn docker_command(
    image: &str,
    container: &str,
    dir: &Path,
    owner: (u32, u32),
    port: u16,
) -> Vec<OsString> {
    let mut volume = OsString::from(dir);
    volume.push(":");
    volume.push(dir);
    let words = ["docker", "run", "--rm", "--pull", "never", "--name", container, "--volume"];
    let mut words: Vec<OsString> = words.map(OsString::from).into();
    words.push(volume);
    words.extend(
        [
            "--user",
            &format!("{}:{}", owner.0, owner.1),
            "--publish",
            &format!("127.0.0.1:{port}:6379"),
            "--entrypoint",
            "valkey-server",
            image,
        ]
        .map(OsString::from),
    );
    words
}

#[cfg(test)]
mod tests {
    use super::{Program, docker_command};
    use std::ffi::OsString;
    use std::path::{Path, PathBuf};

    #[test]
    fn check_programs_are_called_by_a_servers_name() {
        let alias = |path: &str| Program::at(PathBuf::from(path)).alias;
        assert_eq!(alias("/usr/bin/redis-check-rdb"), Some("redis-server"));
        assert_eq!(alias("/usr/bin/valkey-check-rdb"), Some("valkey-server"));
        assert_eq!(alias("/usr/bin/redis-server"), None);
        assert_eq!(alias("/opt/my-own-build"), None);
    }

    #[test]
    fn the_environment_and_the_runner_stand_before_the_program() {
        let program = Program::at(PathBuf::from("/opt/my-own-build"));
        let line = |environment: &[(String, OsString)], runner: &[OsString]| {
            let words = program.command(Path::new("/tmp/d"), environment, runner);
            let words = words.expect("no link to make");
            words.iter().map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        assert_eq!(line(&[], &[]), ["/opt/my-own-build"]);
        let one = [("A".to_owned(), "b c".into())];
        assert_eq!(line(&one, &[]), ["env", "A=b c", "/opt/my-own-build"]);
        let runner = ["valgrind".into(), "-q".into()];
        assert_eq!(line(&one, &runner), ["env", "A=b c", "valgrind", "-q", "/opt/my-own-build"]);
    }

    #[test]
    fn a_program_that_is_no_server_is_refused() {
        let echo = Program::at(PathBuf::from("/bin/echo"));
        let reason = echo.version().expect_err("echo is no server");
        assert_eq!(reason, "/bin/echo is not a Redis or Valkey server");
    }

    #[test]
    fn a_container_is_private_to_this_host_and_user() {
        let words = docker_command("img:1", "poolder-1", Path::new("/tmp/d"), (7, 8), 4242);
        let line: Vec<_> = words.iter().map(|word| word.to_string_lossy()).collect();
        assert_eq!(
            line.join(" "),
            "docker run --rm --pull never --name poolder-1 --volume /tmp/d:/tmp/d --user 7:8 \
             --publish 127.0.0.1:4242:6379 --entrypoint valkey-server img:1"
        );
    }
}
