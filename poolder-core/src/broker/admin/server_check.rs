//! Checks whether a server can hold a queue. Each error and warning says how to correct the server.

use std::collections::HashMap;

use redis::Value;

use crate::broker::Broker;
use crate::broker::connection::reply;
use crate::job::Error;

/// The oldest server version that has all required commands.
const OLDEST_VERSION: (u32, u32) = (6, 2);

/// The commands that a queue needs. Managed servers disable or rename some commands.
pub(super) const REQUIRED_COMMANDS: &[&str] = &[
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

/// The result of a server check.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Findings {
    /// The server's name and version.
    pub server: String,
    /// The changes that an operator should make, one per text.
    pub warnings: Vec<String>,
}

impl Broker {
    /// Checks the server's version, eviction policy, persistence, role and commands.
    ///
    /// # Errors
    /// [`Error::is_unsupported`] when the server is too old, evicts keys under memory pressure, is
    /// a replica, or lacks a command. Returns an error, too, when the server does not answer. Where
    /// access rules forbid `INFO`, the server is not checked and the findings have a warning.
    pub async fn check_server(&self) -> Result<Findings, Error> {
        self.ping().await?;
        let info = match self.command(redis::cmd("INFO").arg("everything")).await {
            Ok(reply) => info_fields(reply)?,
            Err(error) if error.is_auth() => {
                let warning = "INFO is not permitted, so the server could not be checked; \
                               grant +info, which also makes completions cheaper";
                return Ok(Findings { warnings: vec![warning.into()], ..Findings::default() });
            }
            Err(error) => return Err(error),
        };
        let unfit = |text| {
            Error::unsupported(format!("Redis at {} cannot hold a queue: {text}", self.address()))
        };
        let findings = check_info(&info).map_err(unfit)?;
        match self.command(redis::cmd("COMMAND").arg("INFO").arg(REQUIRED_COMMANDS)).await {
            Ok(reply) => check_commands(&reply::array(reply)?).map_err(unfit)?,
            // Not every user may call `COMMAND`. Without it, a missing command is noticed when it
            // is first called.
            Err(error) if error.is_auth() || error.is_unsupported() => {}
            Err(error) => return Err(error),
        }
        Ok(findings)
    }
}

/// Reads the fields of an `INFO` reply.
pub(super) fn info_fields(reply: Value) -> Result<HashMap<String, String>, Error> {
    Ok(reply::text(reply)?
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_owned(), value.trim().to_owned()))
        .collect())
}

/// Checks the reply to `COMMAND INFO`, which has nil in place of a command that is missing. Returns
/// the missing commands as an error.
fn check_commands(known: &[Value]) -> Result<(), String> {
    let missing = |(_, about): &(_, &Value)| matches!(about, Value::Nil);
    let missing: Vec<&str> =
        REQUIRED_COMMANDS.iter().zip(known).filter(missing).map(|(name, _)| *name).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(format!(
        "it does not know {}: these commands were switched off or renamed; enable them",
        missing.join(", ").to_uppercase()
    ))
}

/// Checks the fields of an `INFO` reply. Returns an error when the server cannot hold a queue.
fn check_info(info: &HashMap<String, String>) -> Result<Findings, String> {
    let field = |name: &str| info.get(name).map(String::as_str).unwrap_or_default();
    let version = field("redis_version");
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if number < OLDEST_VERSION {
        return Err(format!("it is version {version}, the oldest that works is 6.2"));
    }
    if field("role") == "slave" {
        return Err("it is a replica, which takes no jobs: use the address of the primary".into());
    }
    let policy = field("maxmemory_policy");
    if !matches!(policy, "" | "noeviction") && !matches!(field("maxmemory"), "" | "0") {
        return Err(format!(
            "its maxmemory-policy is {policy}, which throws jobs away when memory is short: \
             set maxmemory-policy noeviction"
        ));
    }
    let mut warnings = vec![];
    if !matches!(policy, "" | "noeviction") {
        warnings.push(format!(
            "maxmemory-policy is {policy}: harmless while maxmemory is 0, but set noeviction \
             before a limit is set"
        ));
    }
    if field("aof_enabled") == "0" {
        warnings.push(
            "appendonly is off: a restart of the server loses what came after its last \
             snapshot; set appendonly yes"
                .into(),
        );
    }
    // The server reports this field only when min-replicas-to-write is set.
    let replicas = field("connected_slaves").parse::<u32>().unwrap_or(0);
    if replicas > 0 && !info.contains_key("min_slaves_good_slaves") {
        warnings.push(
            "min-replicas-to-write is 0: a primary that was replaced goes on taking jobs for a \
             while, and they are lost when it returns; set min-replicas-to-write 1 and \
             min-replicas-max-lag 2 or so, and enqueue what matters with Durability::replicated(1)"
                .into(),
        );
    }
    if number == (7, 0) && numbers.next().unwrap_or(0) < 5 {
        warnings.push(format!("{version} has known memory errors in streams: use 7.0.5 or later"));
    }
    Ok(Findings { server: flavour(info), warnings })
}

/// Returns the product and the version of a server by the fields of an `INFO` reply.
pub(super) fn flavour(info: &HashMap<String, String>) -> String {
    let field = |name: &str| info.get(name).map(String::as_str).unwrap_or_default();
    let version = field("redis_version");
    match (field("server_name"), field("valkey_version")) {
        (_, valkey) if !valkey.is_empty() => format!("Valkey {valkey}"),
        (name, _) if !name.is_empty() => format!("{name} {version}"),
        _ => format!("Redis {version}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(fields: &[(&str, &str)]) -> Result<Findings, String> {
        let mut info = HashMap::from([("redis_version", "7.0.15"), ("aof_enabled", "1")]);
        info.extend(fields.iter().copied());
        check_info(&info.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    }

    #[test]
    fn a_fit_server_is_not_blamed() {
        let found = look(&[("maxmemory_policy", "noeviction")]).unwrap();
        assert_eq!(found, Findings { server: "Redis 7.0.15".into(), warnings: vec![] });
        assert_eq!(look(&[("valkey_version", "9.1.2")]).unwrap().server, "Valkey 9.1.2");
    }

    #[test]
    fn an_unfit_server_is_refused_with_the_cure() {
        let evicting = [("maxmemory_policy", "allkeys-lru"), ("maxmemory", "1000000")];
        assert!(look(&evicting).unwrap_err().contains("noeviction"));
        assert!(look(&[("redis_version", "6.0.9")]).unwrap_err().contains("6.2"));
        assert!(look(&[("role", "slave")]).unwrap_err().contains("primary"));
    }

    #[test]
    fn what_may_hurt_later_is_a_warning() {
        let lru = [("maxmemory_policy", "allkeys-lru"), ("maxmemory", "0")];
        assert!(look(&lru).unwrap().warnings[0].contains("noeviction"));
        assert!(look(&[("aof_enabled", "0")]).unwrap().warnings[0].contains("appendonly"));
        let replicated = [("connected_slaves", "1")];
        assert!(look(&replicated).unwrap().warnings[0].contains("min-replicas-to-write"));
        let safe = [("connected_slaves", "1"), ("min_slaves_good_slaves", "1")];
        assert!(look(&safe).unwrap().warnings.is_empty());
        assert!(look(&[("redis_version", "7.0.4")]).unwrap().warnings[0].contains("7.0.5"));
    }
}
