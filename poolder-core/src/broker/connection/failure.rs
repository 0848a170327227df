//! Classifies errors of the Redis client: not executed, unknown outcome, or a reason to replace the
//! connection.

use redis::{ErrorKind, RedisError, ServerErrorKind};

use crate::broker::connection::open::REFUSED;
use crate::job::Error;

/// Error codes of commands that the server did not execute. `WRONGTYPE` and `NOGROUP` may also come
/// from a command inside of a script, which may have written before.
const NOT_EXECUTED: &[&str] = &[
    "LOADING",
    "MASTERDOWN",
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

/// Error codes of a server that accepts no writes at the moment. A script with such an error has
/// written nothing: its first write fails, since the server is the same during the whole script. A
/// server that has run out of memory while a script ran lets the script go on to its end.
const NO_WRITES: &[&str] = &["READONLY", "NOREPLICAS", "OOM", "MISCONF"];

/// Texts of errors about missing permissions inside a script. The second is that of Redis 6.2.
const SCRIPT_DENIED: &[&str] = &["ACL failure in script", "The user executing the script can't"];

/// The text of an error about an argument that the server does not take, found before it was sent.
pub(crate) const TOO_LARGE: &str = "an argument is larger than the server takes";
/// Parts of the error of a server that has received the length of such an argument. It executes no
/// part of the command, and closes the connection.
const BULK_REFUSED: &[&str] = &["invalid bulk length", "invalid multibulk length"];

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
        _ if is_too_large(&error) => Error::too_large(format!(
            "Redis at {address} did not execute the command: {text}; raise proto-max-bulk-len, or \
             store the data elsewhere"
        )),
        _ if not_executed(&error) => {
            // A server that says why it refuses a connection runs.
            let advice = if error.is_connection_refusal() && !text.contains(REFUSED) {
                "; is the server running, and does POOLDER_REDIS_URL name it?"
            } else if code(&error) == Some("OOM") {
                "; the server is out of memory and takes no new jobs until workers have emptied \
                 queues, or maxmemory is raised"
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
        _ if is_inside_script(&error) => Error::unknown(format!(
            "a script failed in Redis at {address}, and may have written something before: {text}"
        )),
        _ => Error::protocol(format!("Redis at {address}: {text}")),
    };
    ours.with_source(error)
}

fn describe(error: &RedisError) -> String {
    error.to_string()
}

/// Returns whether the server certainly did not execute the command, or no write of the script.
pub(crate) fn not_executed(error: &RedisError) -> bool {
    error.is_connection_refusal()
        || is_too_large(error)
        || code(error).is_some_and(|code| {
            NO_WRITES.contains(&code) || (NOT_EXECUTED.contains(&code) && !is_inside_script(error))
        })
}

fn is_too_large(error: &RedisError) -> bool {
    let text = error.detail().unwrap_or_default();
    error.to_string().starts_with(TOO_LARGE)
        || (!is_inside_script(error)
            && text.starts_with("Protocol error")
            && BULK_REFUSED.iter().any(|words| text.contains(words)))
}

/// Returns whether the script of the command raised the error because of its arguments or of the
/// stored data, so that the same call will most likely raise it again. False when the server accepts
/// no writes at the moment, when the consumer group has to be created again, and when an operator
/// has ended the script.
pub(in crate::broker) fn is_raised_by_script(error: &RedisError) -> bool {
    is_inside_script(error)
        && !not_executed(error)
        && !is_nogroup(error)
        && !error.to_string().contains(SCRIPT_KILLED)
}

/// A part of the error of a script that an operator has ended with `SCRIPT KILL`.
const SCRIPT_KILLED: &str = "Script killed by user";

/// The beginning of an error inside of a script in Redis 6.2:
/// `Error running script (call to f_<hash>): @user_script:3: WRONGTYPE Operation against …`, and
/// for conditions that the script engine itself checks
/// `Error running script (call to f_<hash>): @user_script:3: @user_script: 3: -OOM command …`.
const SCRIPT_PREFIX: &str = "Error running script";
/// A part of the end of an error inside of a script in Redis 7 and Valkey:
/// `WRONGTYPE Operation against … script: <hash>, on @user_script:3.`; Valkey 9 leaves the hash out.
const SCRIPT_SUFFIX: &str = "on @user_script:";

/// Returns whether a script had begun when the error happened.
fn is_inside_script(error: &RedisError) -> bool {
    let text = error.detail().unwrap_or_default();
    text.starts_with(SCRIPT_PREFIX) || text.contains(SCRIPT_SUFFIX)
}

/// Returns the code of an error. Redis 6.2 has the code `ERR` for all errors inside of scripts, and
/// every server puts it before an error that a script raises again after it has taken its writes
/// back; the code is then taken from the text.
pub(in crate::broker) fn code(error: &RedisError) -> Option<&str> {
    let text = error.detail().filter(|_| is_inside_script(error)).unwrap_or_default();
    // Redis 6.2 has other parts before the error.
    let parts = if text.starts_with(SCRIPT_PREFIX) { usize::MAX } else { 1 };
    let words = text.split(": ").take(parts).filter_map(|part| part.split(' ').next());
    let is_code = |word: &&str| word.len() > 1 && word.bytes().all(|b| b.is_ascii_uppercase());
    words.map(|word| word.trim_start_matches('-')).find(is_code).or_else(|| error.code())
}

/// Converts an error from before the command was sent, so that [`not_executed`] holds for an I/O
/// error of any kind.
pub(crate) fn unsent(error: RedisError) -> RedisError {
    refusal(error, "the connection did not open")
}

/// Converts an error of loading the scripts, like [`unsent`]: the server did not have the script of
/// the command, and did not execute the command.
pub(in crate::broker) fn unloaded(error: RedisError) -> RedisError {
    refusal(error, "the server does not have the script, and did not load it")
}

fn refusal(error: RedisError, why: &str) -> RedisError {
    if !error.is_io_error() || error.is_connection_refusal() {
        return error;
    }
    let text = format!("{why}: {error}");
    std::io::Error::new(std::io::ErrorKind::ConnectionRefused, text).into()
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
        || matches!(code(error), Some("READONLY" | "MASTERDOWN" | "MOVED"))
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
    /// Returns the error of a reply, as the client reads it.
    fn error(reply: &str) -> RedisError {
        let value = redis::parse_redis_value(format!("{reply}\r\n").as_bytes()).unwrap();
        crate::broker::connection::reply::checked(value).unwrap_err()
    }

    const SHA: &str = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db";

    /// The text of an error inside of a script in Valkey 9, Redis 7.0, and Redis 6.2: `by_engine`
    /// if the script engine found it before it called the command.
    fn inside(text: &str, by_engine: bool) -> [String; 3] {
        let old = if by_engine { format!("@user_script: 3: -{text}") } else { text.to_owned() };
        [
            format!("-{text} script: on @user_script:3."),
            format!("-{text} script: {SHA}, on @user_script:3."),
            format!("-ERR Error running script (call to f_{SHA}): @user_script:3: {old}"),
        ]
    }

    #[test]
    fn a_command_that_was_not_executed_is_refused() {
        for reply in [
            "-WRONGTYPE Operation against a key holding the wrong kind of value",
            "-OOM command not allowed when used memory > 'maxmemory'.",
            "-READONLY You can't write against a read only replica.",
            "-NOREPLICAS Not enough good replicas to write.",
            "-NOSCRIPT No matching script. Please use EVAL.",
            "-NOSCRIPT No matching script.",
            "-BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
            "-LOADING Redis is loading the dataset in memory",
            "-MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
            "-NOGROUP No such key 'k' or consumer group 'workers' in XREADGROUP with GROUP option",
        ] {
            assert!(classify(error(reply), "there").is_refused(), "{reply}");
        }
    }

    #[test]
    fn a_script_that_may_have_written_before_its_error_is_unknown() {
        for text in [
            "WRONGTYPE Operation against a key holding the wrong kind of value",
            "NOGROUP No such key 'k' or consumer group 'workers'",
            "ERR value is not an integer or out of range",
            "ERR user_script:3: Script attempted to access nonexistent global variable 'x'",
        ] {
            for reply in inside(text, false) {
                let error = classify(error(&reply), "there");
                assert!(error.is_unknown() && !error.is_refused(), "{reply}: {error}");
            }
        }
    }

    #[test]
    fn a_script_raises_the_same_error_again_unless_the_server_is_the_reason() {
        for (text, raised) in [
            ("WRONGTYPE Operation against a key holding the wrong kind of value", true),
            ("ERR invalid expire time in 'set' command", true),
            ("ERR user_script:3: attempt to compare nil with number", true),
            ("ERR ACL failure in script: User default has no permissions to run 'set'", true),
            ("NOGROUP No such key 'k' or consumer group 'workers'", false),
            ("ERR Script killed by user with SCRIPT KILL.", false),
            ("READONLY You can't write against a read only replica.", false),
            ("OOM command not allowed when used memory > 'maxmemory'.", false),
        ] {
            for reply in inside(text, false) {
                assert_eq!(is_raised_by_script(&error(&reply)), raised, "{reply}");
            }
        }
        // As a script raises it again after it has taken its writes back.
        for suffix in ["script: 0123456789abcdef, on @user_script:3.", "script: on @user_script:3."]
        {
            let full =
                format!("-ERR OOM command not allowed when used memory > 'maxmemory'. {suffix}");
            assert!(!is_raised_by_script(&error(&full)), "{full}");
            assert!(classify(error(&full), "there").is_refused(), "{full}");
            let wrong = format!("-ERR WRONGTYPE Operation against a key {suffix}");
            assert!(is_raised_by_script(&error(&wrong)), "{wrong}");
        }
        for outside in ["-WRONGTYPE Operation against a key", "-NOPERM no", "-LOADING wait"] {
            assert!(!is_raised_by_script(&error(outside)), "{outside}");
        }
        assert!(!is_raised_by_script(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
    }

    #[test]
    fn a_script_whose_first_write_was_not_accepted_is_refused() {
        for text in [
            "OOM command not allowed when used memory > 'maxmemory'.",
            "READONLY You can't write against a read only replica.",
            "NOREPLICAS Not enough good replicas to write.",
            "MISCONF Errors writing to the AOF file: No space left on device",
        ] {
            for reply in inside(text, true) {
                assert!(classify(error(&reply), "there").is_refused(), "{reply}");
            }
        }
        let [.., old] = inside("READONLY You can't write against a read only replica.", true);
        assert!(spoils_connection(&error(&old)), "a primary that was demoted is left");
    }

    #[test]
    fn a_script_without_a_permission_is_neither_refused_nor_unknown() {
        let valkey = "ERR ACL failure in script: User default has no permissions to run the 'set' \
                      command";
        let redis = "ERR The user executing the script can't run this command or subcommand";
        let old = redis.trim_start_matches("ERR ");
        for reply in [
            "-NOPERM User default has no permissions to run the 'set' command".to_owned(),
            format!("-{valkey} script: on @user_script:3."),
            format!("-{valkey} script: {SHA}, on @user_script:3."),
            format!("-{redis} script: {SHA}, on @user_script:3."),
            format!(
                "-ERR Error running script (call to f_{SHA}): @user_script:3: @user_script: 3: {old}"
            ),
        ] {
            let error = classify(error(&reply), "there");
            assert!(error.is_auth() && !error.is_refused() && !error.is_unknown(), "{reply}");
        }
    }
}
