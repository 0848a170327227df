//! The server that all tests of a process share.

use std::ffi::OsString;
use std::sync::OnceLock;
use std::time::Duration;

use crate::error::Error;
use crate::resp::{self, Address};
use crate::server::Server;

/// The variable with the URL of the server that `cargo xtask test` started for the test binaries.
pub const DEV_URL_VAR: &str = "POOLDER_DEV_URL";
/// The variables in which a user names a server, best first.
pub const USER_URL_VARS: [&str; 2] = ["POOLDER_REDIS_URL", "REDIS_URL"];
/// The variable that, set to `1`, lets tests use the server that the user named.
pub const ALLOW_SHARED_VAR: &str = "POOLDER_TEST_ALLOW_SHARED";

/// A server that other tests use at the same time. Use a separate
/// [`namespace`](crate::namespace()), and never flush, pause or reconfigure the server; start a
/// [`Server`] for that.
#[derive(Debug)]
pub struct Shared {
    url: String,
    /// The private server, if any, which lives as long as the process.
    _private: Option<Server>,
}

impl Shared {
    /// Returns the URL for a client.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends one command: see [`Server::command`].
    ///
    /// # Errors
    /// Returns an error when the server answers with an error ([`Error::is_reply`]) or does not
    /// answer, or when its URL has a password, TLS, a database or options.
    pub fn command(&self, words: &[&str]) -> Result<String, Error> {
        resp::command(&Address::parse(&self.url)?, words, Duration::from_secs(5))
    }
}

/// Returns the server of this process's tests: the server that `cargo xtask test` started, else a
/// private server that the first call starts. Installs nothing.
///
/// # Errors
/// Returns an error when no server program was found, or when `POOLDER_REDIS_URL` or `REDIS_URL` is
/// set ([`Error::is_refused`]): tests do not use such a server unless
/// `POOLDER_TEST_ALLOW_SHARED=1`.
pub fn shared() -> Result<&'static Shared, Error> {
    static SHARED: OnceLock<Result<Shared, Error>> = OnceLock::new();
    let start = || match choose(&|name| std::env::var_os(name))? {
        Choice::Existing(url) => Ok(Shared { url, _private: None }),
        Choice::Private => {
            let server = Server::start()?;
            Ok(Shared { url: server.url(), _private: Some(server) })
        }
    };
    SHARED.get_or_init(start).as_ref().map_err(Clone::clone)
}

#[derive(Debug, PartialEq, Eq)]
enum Choice {
    Existing(String),
    Private,
}

fn choose(var: &dyn Fn(&str) -> Option<OsString>) -> Result<Choice, Error> {
    let text = |name: &str| {
        var(name).map(|value| value.to_string_lossy().into_owned()).filter(|v| !v.is_empty())
    };
    if let Some(url) = text(DEV_URL_VAR) {
        return Ok(Choice::Existing(url));
    }
    let Some((name, url)) = USER_URL_VARS.iter().find_map(|name| Some((name, text(name)?))) else {
        return Ok(Choice::Private);
    };
    if text(ALLOW_SHARED_VAR).as_deref() == Some("1") {
        return Ok(Choice::Existing(url));
    }
    Err(Error::refused(format!(
        "{name} is set, and tests do not use a server that other programs may use: unset it to \
         start a private server; or set {ALLOW_SHARED_VAR}=1 to run the tests against that server, \
         each in a separate namespace"
    )))
}

#[cfg(test)]
mod tests {
    use super::{Choice, choose};
    use std::ffi::OsString;

    fn chosen(vars: &[(&str, &str)]) -> Result<Choice, String> {
        let var = |name: &str| {
            vars.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        };
        choose(&var).map_err(|error| {
            assert!(error.is_refused());
            error.to_string()
        })
    }

    fn existing(url: &str) -> Result<Choice, String> {
        Ok(Choice::Existing(url.to_owned()))
    }

    #[test]
    fn nothing_set_means_a_private_server() {
        assert_eq!(chosen(&[]), Ok(Choice::Private));
        assert_eq!(chosen(&[("REDIS_URL", ""), ("POOLDER_DEV_URL", "")]), Ok(Choice::Private));
    }

    #[test]
    fn the_server_of_xtask_is_used() {
        let vars = [("POOLDER_DEV_URL", "redis+unix:///s"), ("REDIS_URL", "redis://production")];
        assert_eq!(chosen(&vars), existing("redis+unix:///s"));
    }

    #[test]
    fn a_users_server_is_refused_unless_allowed() {
        for name in super::USER_URL_VARS {
            let text = chosen(&[(name, "redis://:secret@h")]).expect_err("refused");
            assert!(text.starts_with(name) && text.contains("POOLDER_TEST_ALLOW_SHARED=1"));
            assert!(!text.contains("secret"), "{text}");
            let allowed = [(name, "redis://h"), ("POOLDER_TEST_ALLOW_SHARED", "1")];
            assert_eq!(chosen(&allowed), existing("redis://h"));
            let unclear = [(name, "redis://h"), ("POOLDER_TEST_ALLOW_SHARED", "0")];
            assert!(chosen(&unclear).is_err());
        }
    }

    #[test]
    fn the_specific_variable_goes_before_the_general_one() {
        let vars = [
            ("REDIS_URL", "redis://general"),
            ("POOLDER_REDIS_URL", "redis://ours"),
            ("POOLDER_TEST_ALLOW_SHARED", "1"),
        ];
        assert_eq!(chosen(&vars), existing("redis://ours"));
    }
}
