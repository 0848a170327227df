//! The commands that a node calls, by which a dry run tells whether a user may be a node.

/// Each command that a node calls, those inside scripts included, with arguments that it accepts: K
/// stands for a key, C for a channel of the namespace. These are the commands of the worker in
/// `docs/access.md`.
pub(super) const NODE_COMMANDS: &[&str] = &[
    "PING",
    "UNWATCH",
    "EVALSHA 0 1 K",
    "SCRIPT LOAD x",
    "XADD K * j x",
    "WAIT 0 0",
    "TIME",
    "GET K",
    "SET K x",
    "EXISTS K",
    "XINFO STREAM K",
    "PEXPIRE K 1",
    "HGET K x",
    "HSET K x x",
    "HSETNX K x x",
    "HMGET K x",
    "HDEL K x",
    "HLEN K",
    "HEXISTS K x",
    "HINCRBY K x 1",
    "ZADD K 1 x",
    "ZSCORE K x",
    "ZRANGE K 0 0",
    "ZREM K x",
    "ZCARD K",
    "ZCOUNT K 0 0",
    "TYPE K",
    "ZRANGEBYSCORE K 0 0",
    "SADD K x",
    "LLEN K",
    "RPUSH K x",
    "LPOP K",
    "BLPOP K 1",
    "LPUSH K x",
    "RENAMENX K K",
    "PERSIST K",
    "PUBLISH C x",
    "SUBSCRIBE C",
    "UNSUBSCRIBE",
    "PTTL K",
    "INFO",
    "COMMAND INFO get",
    "GETEX K",
    "CLIENT ID",
    "CLIENT UNBLOCK 1",
    "XREADGROUP GROUP workers x STREAMS K >",
    "XREAD STREAMS K 0",
    "XGROUP CREATE K workers 0",
    "XGROUP DELCONSUMER K workers x",
    "XINFO CONSUMERS K workers",
    "XINFO GROUPS K",
    "XPENDING K workers",
    "XRANGE K - +",
    "XREVRANGE K + -",
    "XLEN K",
    "XACK K workers 1-1",
    "XDEL K 1-1",
    "XTRIM K MAXLEN 1",
    "ZMSCORE K x",
    "ZREVRANGEBYSCORE K 0 0",
    "ZREMRANGEBYSCORE K 0 0",
    "ZSCAN K 0",
    "XCLAIM K workers x 0 1-1",
    "HGETALL K",
    "HSCAN K 0",
    "DEL K",
    "UNLINK K",
    "INCR K",
    "COPY K K",
    "RENAME K K",
    "LRANGE K 0 0",
    "LINDEX K 0",
    "LSET K 0 x",
    "LREM K 0 x",
    "SCARD K",
    "SREM K x",
    "SRANDMEMBER K",
    "SSCAN K 0",
    "ZRANK K x",
];

/// The commands whose first argument is part of their name.
const WITH_SUBCOMMANDS: [&str; 5] = ["SCRIPT", "XINFO", "XGROUP", "CLIENT", "COMMAND"];

/// Returns the name of a command, as the rules of users write it: `xadd`, `xinfo|stream`.
pub(super) fn name(command: &str) -> String {
    let mut words = command.split(' ').map(str::to_lowercase);
    let first = words.next().unwrap_or_default();
    let is_long = WITH_SUBCOMMANDS.iter().any(|long| long.eq_ignore_ascii_case(&first));
    match words.next().filter(|_| is_long) {
        Some(second) => format!("{first}|{second}"),
        None => first,
    }
}

/// Returns the names of the commands that a node calls. A test compares them with `docs/access.md`.
#[doc(hidden)]
#[must_use]
pub fn node_commands() -> Vec<String> {
    NODE_COMMANDS.iter().map(|command| name(command)).collect()
}
