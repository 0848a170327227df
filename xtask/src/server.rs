//! The private server for tests, examples and the demo.

use std::process::Command;

use poolder_devserver::{
    ALLOW_SHARED_VAR, DEV_URL_VAR, Error, Install, Server, USER_URL_VARS, ensure,
};

/// Starts a private server and prints which program it uses.
pub(crate) fn start(install: Install) -> Result<Server, String> {
    let start = || -> Result<Server, Error> {
        let found = ensure(install)?;
        eprintln!("xtask: starting a private server: {found}");
        Server::start()
    };
    start().map_err(|error| error.to_string())
}

/// Returns true when the environment names a server and the user allows tests to use it.
pub(crate) fn is_users_allowed() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    std::env::var_os(ALLOW_SHARED_VAR).is_some_and(|value| value == "1")
        && USER_URL_VARS.into_iter().any(is_set)
}

/// Makes tests use this server, and removes the variables that name other servers.
pub(crate) fn for_tests(command: &mut Command, server: &Server) {
    for name in USER_URL_VARS {
        command.env_remove(name);
    }
    command.env(DEV_URL_VAR, server.url());
}

/// Makes an application use this server.
pub(crate) fn for_applications(command: &mut Command, server: &Server) {
    command.env(USER_URL_VARS[0], server.url());
}
