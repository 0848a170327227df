//! Checks whether a server can hold a queue. Each error and warning says how to correct the server.

use crate::broker::Broker;
use crate::broker::admin::server_info::{ServerInfo, ask_commands, missing_commands, read_info};
use crate::job::Error;

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
        let info = self.command(redis::cmd("INFO").arg("everything")).await;
        let Some(info) = read_info(info)? else {
            let warning = "INFO is not permitted, so the server could not be checked; grant +info, \
                           which also makes completions cheaper";
            return Ok(Findings { warnings: vec![warning.into()], ..Findings::default() });
        };
        let unfit = |text| {
            Error::unsupported(format!("Redis at {} cannot hold a queue: {text}", self.address()))
        };
        let findings = check_info(&info).map_err(unfit)?;
        let missing = missing_commands(self.command(&ask_commands()).await)?;
        if !missing.is_empty() {
            return Err(unfit(format!(
                "it does not know {}: these commands were switched off or renamed; enable them",
                missing.join(", ")
            )));
        }
        Ok(findings)
    }
}

/// Checks the fields of an `INFO` reply. Returns an error when the server cannot hold a queue.
fn check_info(info: &ServerInfo) -> Result<Findings, String> {
    let field = |name: &str| info.field(name).unwrap_or_default();
    let version = info.version();
    if info.is_too_old() {
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
    let replicas = info.number("connected_slaves").unwrap_or(0);
    if replicas > 0 && info.field("min_slaves_good_slaves").is_none() {
        warnings.push(
            "min-replicas-to-write is 0: a primary that was replaced goes on taking jobs for a \
             while, and they are lost when it returns; set min-replicas-to-write 1 and \
             min-replicas-max-lag 2 or so, and enqueue what matters with Durability::replicated(1)"
                .into(),
        );
    }
    if info.has_stream_errors() {
        warnings.push(format!("{version} has known memory errors in streams: use 7.0.5 or later"));
    }
    Ok(Findings { server: info.name(), warnings })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(fields: &[(&str, &str)]) -> Result<Findings, String> {
        let usual = [("redis_version", "7.0.15"), ("aof_enabled", "1")];
        check_info(&usual.iter().chain(fields).copied().collect())
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
