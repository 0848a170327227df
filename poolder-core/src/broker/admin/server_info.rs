//! The reading of a server's own facts, in one place: the fields of `INFO`, and the commands that the
//! server does not know.

use std::collections::HashMap;

use redis::{Cmd, Value};

use crate::broker::connection::reply;
use crate::job::Error;

/// The oldest server version that has all required commands.
const OLDEST_VERSION: [u32; 2] = [6, 2];

/// The commands that a queue needs. Managed servers disable or rename some commands.
const REQUIRED_COMMANDS: &[&str] = &[
    "evalsha",
    "script",
    "publish",
    "xadd",
    "xreadgroup",
    "xread",
    "xgroup",
    "xinfo",
    "xpending",
    "xrange",
    "xrevrange",
    "xlen",
    "xack",
    "xdel",
    "xtrim",
    "zadd",
    "zrange",
    "zrangebyscore",
    "zrem",
    "zmscore",
    "hset",
    "hmget",
    "hincrby",
    "rpush",
    "lrange",
    "renamenx",
    "pexpire",
    "getex",
    "time",
];

/// The fields of an `INFO` reply, or of a reply of the same form.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ServerInfo(HashMap<String, String>);

impl ServerInfo {
    /// Reads a reply.
    pub(super) fn read(reply: Value) -> Result<Self, Error> {
        Ok(Self::from_iter(reply::text(reply)?.lines().filter_map(|line| line.split_once(':'))))
    }

    /// Returns a field; `None` when the server does not tell it.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Returns a field that is a number; `None` when the server does not tell it.
    #[must_use]
    pub fn number(&self, name: &str) -> Option<u64> {
        self.field(name)?.parse().ok()
    }

    /// Returns the product and its version, such as `Valkey 9.1.2`; empty when the server does not
    /// tell them.
    #[must_use]
    pub fn name(&self) -> String {
        let field = |name: &str| self.field(name).filter(|text| !text.is_empty());
        match (field("valkey_version"), field("server_name"), field("redis_version")) {
            (Some(version), ..) => format!("Valkey {version}"),
            (_, Some(name), Some(version)) => format!("{name} {version}"),
            (_, _, Some(version)) => format!("Redis {version}"),
            _ => String::new(),
        }
    }

    /// Returns the version of Redis with which the server is compatible; empty when it is not told.
    #[must_use]
    pub fn version(&self) -> &str {
        self.field("redis_version").unwrap_or_default()
    }

    fn version_numbers(&self) -> [u32; 3] {
        let mut parts = self.version().split('.').map(|part| part.parse().unwrap_or(0));
        [(); 3].map(|()| parts.next().unwrap_or(0))
    }

    /// Returns true for a server that lacks commands which queues need, since its version is below
    /// 6.2.
    #[must_use]
    pub fn is_too_old(&self) -> bool {
        let [major, minor, _] = self.version_numbers();
        [major, minor] < OLDEST_VERSION
    }

    /// Returns true for a version with known memory errors in streams: 7.0 before 7.0.5.
    #[must_use]
    pub fn has_stream_errors(&self) -> bool {
        matches!(self.version_numbers(), [7, 0, ..=4])
    }
}

impl<N: Into<String>, V: AsRef<str>> FromIterator<(N, V)> for ServerInfo {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(fields: I) -> Self {
        let field = |(name, value): (N, V)| (name.into(), value.as_ref().trim().to_owned());
        Self(fields.into_iter().map(field).collect())
    }
}

/// Reads a reply to `INFO`; `None` when the user may not ask.
pub(super) fn read_info(reply: Result<Value, Error>) -> Result<Option<ServerInfo>, Error> {
    match reply {
        Ok(reply) => ServerInfo::read(reply).map(Some),
        Err(error) if error.is_auth() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Builds the command that asks for the required commands.
pub(super) fn ask_commands() -> Cmd {
    let mut cmd = redis::cmd("COMMAND");
    cmd.arg("INFO").arg(REQUIRED_COMMANDS);
    cmd
}

/// Reads the reply: the required commands that the server does not know. None when the user may not
/// ask: a missing command is then noticed when it is first called.
pub(super) fn missing_commands(reply: Result<Value, Error>) -> Result<Vec<String>, Error> {
    match reply {
        Ok(known) => Ok(missing(&reply::array(known)?)),
        Err(error) if error.is_auth() || error.is_unsupported() || error.is_refused() => Ok(vec![]),
        Err(error) => Err(error),
    }
}

/// Returns the required commands that a reply to `COMMAND INFO` does not describe: it has nil in
/// their place.
fn missing(known: &[Value]) -> Vec<String> {
    let unknown = |(_, about): &(&&str, &Value)| matches!(about, Value::Nil);
    let missing = REQUIRED_COMMANDS.iter().zip(known).filter(unknown);
    missing.map(|(name, _)| name.to_uppercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(fields: &[(&str, &str)]) -> ServerInfo {
        fields.iter().copied().collect()
    }

    #[test]
    fn a_server_has_a_name_and_a_version() {
        let redis = [("redis_version", "7.2.4")];
        assert_eq!(of(&redis).name(), "Redis 7.2.4");
        assert_eq!(of(&[redis[0], ("server_name", "keydb")]).name(), "keydb 7.2.4");
        assert_eq!(of(&[redis[0], ("valkey_version", "9.1.2")]).name(), "Valkey 9.1.2");
        assert_eq!((of(&[]).name(), of(&[]).version()), (String::new(), ""));
        let version = |text| of(&[("redis_version", text)]);
        assert!(version("6.0.9").is_too_old() && version("5").is_too_old());
        assert!(!version("6.2.0").is_too_old() && !version("10.0.0").is_too_old());
        assert!(version("7.0.4").has_stream_errors() && version("7.0").has_stream_errors());
        assert!(!version("7.0.5").has_stream_errors() && !version("7.2.4").has_stream_errors());
    }

    #[test]
    fn commands_that_are_not_described_are_missing() {
        let mut known = vec![Value::Okay; REQUIRED_COMMANDS.len()];
        assert!(missing(&known).is_empty());
        known[1] = Value::Nil;
        assert_eq!(missing(&known), ["SCRIPT"]);
    }
}
