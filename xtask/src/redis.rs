//! `cargo xtask redis`: starts a private server for experiments.

use std::process::{Command, ExitCode};
use std::thread;

use crate::arguments::Arguments;
use crate::{cargo, server};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    arguments.expect_none()?;
    let words = arguments.after.as_deref().unwrap_or_default();
    let server = server::start(arguments.install())?;
    if let Some((program, rest)) = words.split_first() {
        let mut command = Command::new(program);
        command.args(rest);
        server::for_applications(&mut command, &server);
        return Ok(cargo::exit_code(cargo::status(&mut command)?));
    }
    println!("{}", server.url());
    eprintln!(
        "xtask: set POOLDER_REDIS_URL={} to use it; Ctrl-C stops it and deletes its data",
        server.url()
    );
    // Waits until a signal ends this process; the server's supervisor notices and stops the server.
    loop {
        thread::park();
    }
}
