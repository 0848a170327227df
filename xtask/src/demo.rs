//! `cargo xtask demo`: starts a private server and runs `examples/demo` on it.

use std::path::absolute;
use std::process::ExitCode;

use crate::arguments::Arguments;
use crate::{cargo, server};

pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode, String> {
    let dir = match arguments.before.as_slice() {
        [] => None,
        // Cargo runs in the workspace's root, while the user may be in another directory.
        [dir] if !dir.as_encoded_bytes().starts_with(b"-") => {
            Some(absolute(dir).map_err(|error| format!("`{}`: {error}", dir.display()))?)
        }
        [.., word] => {
            return Err(format!("`{}` is not understood: see cargo xtask", word.display()));
        }
    };
    let command = |verb: &str| {
        let mut command = cargo::cargo();
        command.args([verb, "--locked", "--package", "example-demo"]);
        command
    };
    // Built before the server starts, with cargo's output, since the first build takes a while.
    let built = cargo::status(&mut command("build"))?;
    if !built.success() {
        return Ok(cargo::exit_code(built));
    }
    let server = server::start(arguments.install())?;
    let mut demo = command("run");
    demo.arg("--quiet").arg("--").args(dir);
    server::for_applications(&mut demo, &server);
    Ok(cargo::exit_code(cargo::status(&mut demo)?))
}
