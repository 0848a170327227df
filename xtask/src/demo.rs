//! `cargo xtask demo`: starts a private server and runs `examples/demo` on it, with the dashboard
//! beside it where that is asked for.

use std::ffi::OsString;
use std::net::{TcpListener, TcpStream};
use std::path::{PathBuf, absolute};
use std::process::{Child, Command, ExitCode, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use poolder_devserver::Server;

use crate::arguments::Arguments;
use crate::{cargo, programs, server};

/// The namespace of a demo that is watched: see `examples/demo/src/space.rs`.
const WATCHED: &str = "demo";

/// The time within which the dashboard must listen.
const START: Duration = Duration::from_secs(20);

/// The words after `demo`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Words {
    dir: Option<PathBuf>,
    watch: bool,
    /// The time for which the dashboard stays after the demo; until Ctrl-C without it.
    stay: Option<Duration>,
}

impl Words {
    fn read(words: &[OsString]) -> Result<Self, String> {
        let (mut read, mut words) = (Self::default(), words.iter());
        while let Some(word) = words.next() {
            match word.to_str() {
                Some("--watch") => read.watch = true,
                Some("--seconds") => {
                    let seconds = words.next().and_then(|word| word.to_str()?.parse().ok());
                    let seconds = seconds.ok_or("--seconds needs a whole number")?;
                    read.stay = Some(Duration::from_secs(seconds));
                }
                // Cargo runs in the workspace's root, while the user may be in another directory.
                _ if read.dir.is_none() && !word.as_encoded_bytes().starts_with(b"-") => {
                    let dir = absolute(word);
                    let dir = dir.map_err(|error| format!("`{}`: {error}", word.display()))?;
                    read.dir = Some(dir);
                }
                _ => {
                    return Err(format!("`{}` is not understood: see cargo xtask", word.display()));
                }
            }
        }
        match read.stay.is_some() && !read.watch {
            true => Err("--seconds needs --watch".into()),
            false => Ok(read),
        }
    }
}

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let words = Words::read(&arguments.before)?;
    // Built before the server starts, with cargo's output, since the first build takes a while.
    let mut build = cargo::cargo();
    build.args(["build", "--locked", "--package", "example-demo"]);
    if words.watch {
        // Together, so that what both need is compiled once.
        build.args(["--package", "poolder-cli"]);
    }
    let built = programs::executables(&mut build)?;
    let program = |name: &str| {
        let path = built.iter().find(|path| path.file_stem().is_some_and(|stem| stem == name));
        let mut command = Command::new(path.ok_or(format!("cargo has not built {name}"))?);
        command.current_dir(cargo::root());
        Ok::<Command, String>(command)
    };
    let server = server::start(arguments.install())?;
    let mut demo = program("poolder-demo")?;
    server::for_applications(&mut demo, &server);
    if !words.watch {
        return Ok(cargo::exit_code(cargo::status(demo.args(words.dir))?));
    }
    let mut pages = Pages::serve(program("poolder")?, &server)?;
    println!("watch it at {}", pages.address);
    open(&pages.address);
    let ended = cargo::status(demo.arg("--watched").args(words.dir))?;
    match words.stay {
        Some(stay) => thread::sleep(stay),
        None => {
            println!("{} shows how it has ended, until Ctrl-C", pages.address);
            let _ = pages.program.wait();
        }
    }
    Ok(cargo::exit_code(ended))
}

/// The dashboard. It ends with this value.
struct Pages {
    program: Child,
    address: String,
}

impl Pages {
    /// Serves the dashboard, on the usual port if that is free.
    fn serve(mut poolder: Command, server: &Server) -> Result<Self, String> {
        let port = |port| TcpListener::bind(("127.0.0.1", port))?.local_addr();
        let listen = port(8377).or_else(|_| port(0)).map_err(|error| error.to_string())?;
        poolder.args(["--namespace", WATCHED, "dashboard", "--listen"]);
        poolder.arg(listen.to_string()).stderr(Stdio::null());
        server::for_applications(&mut poolder, server);
        let program = poolder.spawn().map_err(|error| format!("the dashboard: {error}"))?;
        let mut pages = Self { program, address: format!("http://{listen}/") };
        let end = Instant::now() + START;
        while TcpStream::connect(listen).is_err() {
            if let Ok(Some(status)) = pages.program.try_wait() {
                return Err(format!("the dashboard ended: {status}"));
            }
            if Instant::now() > end {
                return Err("the dashboard does not listen".into());
            }
            // No event reports when a socket begins to listen.
            thread::sleep(Duration::from_millis(20));
        }
        Ok(pages)
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Opens an address in the browser of the desktop, if there is one.
fn open(address: &str) {
    let has_screen =
        ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some());
    if has_screen {
        let mut command = Command::new("xdg-open");
        // Without the program the printed address is enough.
        let _ = command.arg(address).stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

#[cfg(test)]
mod tests {
    use super::Words;
    use std::ffi::OsString;
    use std::time::Duration;

    #[test]
    fn a_demo_is_watched_only_when_that_is_asked_for() {
        let read = |line: &str| {
            let words: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
            Words::read(&words)
        };
        assert_eq!(read(""), Ok(Words::default()));
        let all = read("--watch --seconds 9 /tmp").unwrap();
        assert_eq!((all.watch, all.stay), (true, Some(Duration::from_secs(9))));
        assert_eq!(all.dir.unwrap().to_str(), Some("/tmp"));
        for wrong in ["--watch --seconds", "--seconds 9", "--what", "a b", "--watch --seconds x"] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
