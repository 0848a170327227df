//! What an error of the Redis client means for us: not executed, unknown, or a reason to replace
//! the connection.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::job::Error;

/// Codes with which the server says that it did nothing.
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

/// How servers say that the user may not do what a script does; Redis 6.2 in other words.
const SCRIPT_DENIED: &[&str] = &["ACL failure in script", "The user executing the script can't"];

/// Turns an error of the client into ours. `address` is shown to the user.
pub(crate) fn classify(error: RedisError, address: &str) -> Error {
    let text = describe(&error);
    let ours = match error.kind() {
        ErrorKind::AuthenticationFailed => {
            Error::auth(format!("Redis at {address} refused the user or password: {text}"))
        }
        ErrorKind::Server(ServerErrorKind::NoPerm) => {
            Error::auth(format!("Redis at {address} does not permit this: {text}"))
        }
        // What a script may not do comes without the code.
        _ if SCRIPT_DENIED.iter().any(|words| text.contains(words)) => {
            Error::auth(format!("Redis at {address} does not permit this: {text}"))
        }
        ErrorKind::InvalidClientConfig => Error::invalid(format!("the Redis URL: {text}")),
        ErrorKind::UnexpectedReturnType | ErrorKind::Parse => {
            Error::protocol(format!("Redis at {address} sent an unexpected reply: {text}"))
        }
        _ if error.code() == Some("NOAUTH") || error.code() == Some("WRONGPASS") => {
            Error::auth(format!("Redis at {address} wants a user and password in the URL: {text}"))
        }
        _ if text.contains("unknown command") => Error::unsupported(format!(
            "Redis at {address} is older than 6.2, or somebody switched off or renamed what a \
                 queue needs: {text}"
        )),
        _ if not_executed(&error) => {
            let advice = if error.is_connection_refusal() {
                "; is the server running, and does POOLDER_REDIS_URL name it?"
            } else {
                ""
            };
            Error::refused(format!("Redis at {address} did not do it: {text}{advice}"))
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

/// True when the server certainly did nothing.
pub(crate) fn not_executed(error: &RedisError) -> bool {
    error.is_connection_refusal() || error.code().is_some_and(|code| NOT_EXECUTED.contains(&code))
}

/// An error that came before anything was sent: whatever it was, the server did nothing.
pub(crate) fn unsent(error: RedisError) -> RedisError {
    if !error.is_io_error() || error.is_connection_refusal() {
        return error;
    }
    let text = format!("the connection did not open: {error}");
    std::io::Error::new(std::io::ErrorKind::ConnectionRefused, text).into()
}

/// True when the script has to be loaded first.
pub(crate) fn is_noscript(error: &RedisError) -> bool {
    error.code() == Some("NOSCRIPT")
}

/// True when the stream or its group has gone while we read it.
pub(crate) fn is_nogroup(error: &RedisError) -> bool {
    matches!(error.code(), Some("NOGROUP" | "UNBLOCKED")) || {
        let text = error.to_string();
        text.contains("NOGROUP") || text.contains("UNBLOCKED")
    }
}

/// True when nothing good can come from this connection any more: it is cut, or it leads to a
/// server that no longer takes writes.
pub(crate) fn spoils_connection(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || (error.is_io_error() && !error.is_timeout())
        || matches!(error.code(), Some("READONLY" | "MASTERDOWN" | "MOVED"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_sent_is_refused_and_not_unknown() {
        let cut = || RedisError::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(classify(cut(), "there").is_unknown());
        let error = classify(unsent(cut()), "there");
        assert!(error.is_refused() && error.to_string().contains("did not open"), "{error}");
    }
}
