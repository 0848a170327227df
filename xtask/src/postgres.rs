//! A private PostgreSQL for the example that has one: the system's, or Debian's packages, which are
//! unpacked below `target` and not installed.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use std::{env, fs};

use crate::cargo;

/// Directory into which the packages are unpacked.
const UNPACKED: &str = "target/poolder-dev/postgres";

/// Where Debian and its descendants have the programs of each version.
const VERSIONS: &str = "usr/lib/postgresql";

/// Time after which a server that is not ready is given up.
const START: Duration = Duration::from_secs(60);

/// A server that listens on a socket in its own directory. It ends, and its data are deleted, when
/// it is dropped; when this process is killed, the server ends too.
pub(crate) struct Postgres {
    server: Child,
    dir: PathBuf,
}

impl Postgres {
    /// Starts a server.
    ///
    /// # Errors
    /// Says why none can be started here.
    pub(crate) fn start() -> Result<Self, String> {
        let programs = programs()?;
        let dir = env::temp_dir().join(format!("poolder-postgres-{}", std::process::id()));
        fs::create_dir_all(&dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let is_root = output(Command::new("id").arg("-u"))?.trim() == "0";
        if is_root {
            output(Command::new("chown").arg("nobody").arg(&dir))?;
        }
        let command = |name: &str| {
            let mut command = Command::new("setpriv");
            command.args(["--pdeathsig", "INT"]);
            if is_root {
                // PostgreSQL refuses to run as root.
                command.args(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"]);
            }
            command.arg(programs.join(name)).current_dir(&dir).stdin(Stdio::null());
            command.env("LD_LIBRARY_PATH", libraries()).env("LC_ALL", "C");
            command
        };
        let data = ["-D", "data"];
        let options = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync"];
        let made = output(command("initdb").args(data).args(options));
        let started = made.and_then(|_| {
            let server = command("postgres")
                .args(data)
                .args(["-k", &dir.display().to_string(), "-c", "listen_addresses=", "-F"])
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            server.map_err(|error| error.to_string())
        });
        match started {
            Ok(server) => Self { server, dir }.ready(),
            Err(error) => {
                let _ = fs::remove_dir_all(&dir);
                Err(error)
            }
        }
    }

    /// Waits until the server says in its file that it accepts connections.
    fn ready(mut self) -> Result<Self, String> {
        let begin = Instant::now();
        let file = self.dir.join("data/postmaster.pid");
        while !fs::read_to_string(&file).is_ok_and(|text| text.contains("ready")) {
            if let Ok(Some(status)) = self.server.try_wait() {
                return Err(format!("postgres: {status}"));
            }
            if begin.elapsed() > START {
                return Err("postgres is not ready after a minute".into());
            }
            thread::sleep(Duration::from_millis(20));
        }
        Ok(self)
    }

    /// Returns the address for clients.
    pub(crate) fn url(&self) -> String {
        format!("host={} user=postgres", self.dir.display())
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
        let _ = fs::remove_dir_all(&self.dir);
    }
}

/// Returns the directory with `initdb` and `postgres`.
fn programs() -> Result<PathBuf, String> {
    let unpacked = cargo::root().join(UNPACKED);
    if let Some(found) = versions(Path::new("/")).or_else(|| versions(&unpacked)) {
        return Ok(found);
    }
    unpack(&unpacked)?;
    versions(&unpacked).ok_or("the packages have no server".into())
}

/// Returns the programs of the latest version below a root.
fn versions(root: &Path) -> Option<PathBuf> {
    let folders = fs::read_dir(root.join(VERSIONS)).ok()?.flatten();
    let programs = folders.map(|folder| folder.path().join("bin"));
    programs.filter(|bin| bin.join("initdb").is_file() && bin.join("postgres").is_file()).max()
}

/// Downloads the packages of the server, and those of the libraries that the system lacks.
fn unpack(into: &Path) -> Result<(), String> {
    fs::create_dir_all(into).map_err(|error| error.to_string())?;
    let install = ["install", "--print-uris", "-qq", "--no-install-recommends", "postgresql"];
    let lines = output(Command::new("apt-get").args(install))?;
    // 'http://…/libpq5_15.1_amd64.deb' libpq5_15.1_amd64.deb 1234 …
    let archives = lines.lines().filter_map(|line| line.split_whitespace().nth(1));
    let names: Vec<&str> = archives.filter_map(|archive| archive.split('_').next()).collect();
    if names.is_empty() {
        return Err("apt-get knows no package of PostgreSQL".into());
    }
    println!("fetching {} with apt-get into {UNPACKED}", names.join(", "));
    output(Command::new("apt-get").args(["download", "-qq"]).args(&names).current_dir(into))?;
    for file in fs::read_dir(into).map_err(|error| error.to_string())?.flatten() {
        let path = file.path();
        if path.extension().is_some_and(|end| end == "deb") {
            output(Command::new("dpkg-deb").arg("-x").arg(&path).arg(into))?;
        }
    }
    Ok(())
}

/// Returns the directories of the libraries that were unpacked with the server.
fn libraries() -> String {
    let lib = cargo::root().join(UNPACKED).join("usr/lib");
    let folders = fs::read_dir(lib).into_iter().flatten().flatten().map(|entry| entry.path());
    let folders: Vec<String> = folders.map(|folder| folder.display().to_string()).collect();
    folders.join(":")
}

/// Runs a command, and returns what it has written to standard output.
fn output(command: &mut Command) -> Result<String, String> {
    let name = format!("{command:?}");
    let done = command.output().map_err(|error| format!("{name}: {error}"))?;
    match done.status.success() {
        true => Ok(String::from_utf8_lossy(&done.stdout).into_owned()),
        false => Err(format!("{name}: {}", String::from_utf8_lossy(&done.stderr).trim())),
    }
}
