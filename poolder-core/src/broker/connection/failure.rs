//! Classifies errors of the Redis client: not executed, unknown outcome, or a reason to replace the
//! connection.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::job::Error;

/// Error codes of commands that the server did not execute.
const NOT_EXECUTED: &[&str] = &[
    "LOADING",
    "MASTERDOWN",
    "READONLY",
    "NOREPLICAS",
    "OOM",
    "MISCONF",
    "BUSY",
    "NOSCRIPT",
    "MOVED",
    "ASK",
    "TRYAGAIN",
    "CLUSTERDOWN",
    "NOGROUP",
    "UNBLOCKED",
    "WRONGTYPE",
    "EXECABORT",
];

/// Texts of errors about missing permissions inside a script. The second is that of Redis 6.2.
const SCRIPT_DENIED: &[&str] = &["ACL failure in script", "The user executing the script can't"];

/// Converts an error of the client into an [`Error`]. `address` appears in its text.
pub(crate) fn classify(error: RedisError, address: &str) -> Error {
    let text = describe(&error);
    let ours = match error.kind() {
        ErrorKind::AuthenticationFailed => {
            Error::auth(format!("Redis at {address} refused the user or password: {text}"))
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Error::auth(format!("Redis at {address} does not permit this: {text}"))
        }
        // A permission error inside a script has no error code.
        _ if SCRIPT_DENIED.iter().any(|words| text.contains(words)) => {
            Error::auth(format!("Redis at {address} does not permit this: {text}"))
        }
        ErrorKind::InvalidClientConfig => Error::invalid(format!("the Redis URL: {text}")),
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            Error::protocol(format!("Redis at {address} sent an unexpected reply: {text}"))
        }
        _ if error.code() == Some("NOAUTH") || error.code() == Some("WRONGPASS") => Error::auth(
            format!("Redis at {address} requires a user and password in the URL: {text}"),
        ),
        _ if text.contains("unknown command") => Error::unsupported(format!(
            "Redis at {address} is older than 6.2, or a command that a queue needs is switched off \
                 or renamed: {text}"
        )),
        _ if not_executed(&error) => {
            let advice = if error.is_connection_refusal() {
                "; is the server running, and does POOLDER_REDIS_URL name it?"
            } else {
                ""
            };
            Error::refused(format!(
                "Redis at {address} did not execute the command: {text}{advice}"
            ))
        }
        ErrorKind::Io => {
            Error::unknown(format!("the reply of Redis at {address} was lost: {text}"))
        }
        _ => Error::protocol(format!("Redis at {address}: {text}")),
    };
    ours.with_source(error)
}

fn describe(error: &RedisError) -> String {
    error.to_string()
}

/// Returns whether the server certainly did not execute the command.
pub(crate) fn not_executed(error: &RedisError) -> bool {
    error.is_connection_refusal() || error.code().is_some_and(|code| NOT_EXECUTED.contains(&code))
}

/// Converts an error from before the command was sent, so that [`not_executed`] holds for an I/O
/// error of any kind.
pub(crate) fn unsent(error: RedisError) -> RedisError {
    if !error.is_io_error() || error.is_connection_refusal() {
        return error;
    }
    let text = format!("the connection did not open: {error}");
    std::io::Error::new(std::io::ErrorKind::ConnectionRefused, text).into()
}

/// Returns whether the script must be loaded first.
pub(crate) fn is_noscript(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// Returns whether the stream or its group is missing, or was removed during a blocking read.
pub(crate) fn is_nogroup(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) || {
        let text = error.to_string();
        text.contains("NOGROUP") || text.contains("UNBLOCKED")
    }
}

/// Returns whether the connection is useless after this error: the connection is broken, or its
/// server accepts no writes or no longer has the key.
pub(crate) fn spoils_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || (error.is_io_error() && !error.is_timeout())
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "MOVED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsent_command_is_refused_and_not_unknown() {
        let cut = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(classify(cut(), "there").is_unknown());
        let error = classify(unsent(cut()), "there");
        assert!(error.is_refused() && error.to_string().contains("did not open"), "{error}");
    }
}
