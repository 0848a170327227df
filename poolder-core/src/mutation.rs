//! Guards that can be removed one at a time, so that `cargo xtask torture --mutations` can show
//! that its checks detect each missing guard. Only a build with `--cfg poolder_mutations` can
//! remove them; in any other build [`mutated`] is a constant, and the compiler drops all of this.

/// Returns true when the guard of this name is to be left out: the environment variable
/// `POOLDER_MUTATION` names it.
#[cfg(poolder_mutations)]
#[must_use]
pub fn mutated(guard: &str) -> bool {
    static CHOSEN: std::sync::LazyLock<String> =
        std::sync::LazyLock::new(|| std::env::var("POOLDER_MUTATION").unwrap_or_default());
    *CHOSEN == guard
}

/// Returns false: this build leaves no guard out.
#[cfg(not(poolder_mutations))]
#[inline(always)]
#[must_use]
pub const fn mutated(_guard: &str) -> bool {
    false
}

/// The guards inside scripts: name, script, text of the guard, and the text that replaces it.
#[cfg(any(poolder_mutations, test))]
pub(crate) const SCRIPT_GUARDS: &[(&str, &str, &str, &str)] = &[
    (
        "fence-complete",
        "jobs/complete",
        "gone = redis.pcall('XDEL', lane, ARGV[i])",
        "redis.call('XDEL', lane, ARGV[i]) gone = 1",
    ),
    (
        "fence-epoch",
        "jobs/complete",
        "if not string.find(redis.call('INFO', 'replication'), history, 1, true) then",
        "if false then",
    ),
    ("fence-owner", "jobs/settle", "if not p or p[2] ~= owner then return nil end", ""),
    ("fence-job", "jobs/settle", "and string.sub(f[2], 3, 18) == job", ""),
    (
        "destination-first",
        "jobs/settle",
        "    body = envelope or stored\n",
        "    body = envelope or stored\n\
         redis.call('XACK', KEYS[1], 'workers', entry) redis.call('XDEL', KEYS[1], entry)\n",
    ),
    (
        "tick-compare",
        "schedule/tick",
        "if revision ~= ARGV[i + 1] or before ~= ARGV[i + 2] then",
        "if revision ~= ARGV[i + 1] then",
    ),
    (
        "slot-term",
        "addressed/slot_poll",
        "if l[1] ~= ARGV[1] or l[2] ~= ARGV[2] then return {'LOST'} end",
        "",
    ),
    ("poll-order", "addressed/slot_poll", "if lost < seen then return {'IDLE', 0} end", ""),
    ("first-write", "fleet/node_beat", "redis.call('PERSIST', KEYS[1])", ""),
    (
        "slot-by-job",
        "addressed/slot_poll",
        "if ARGV[11] and ARGV[4] ~= '1' then",
        "if ARGV[11] then",
    ),
    ("seal-generation", "batch/push", "(why == 'flush' or ARGV[11] == generation)", "true"),
    (
        "cancel-generation",
        "fleet/check_cancelled",
        "local later = at and ARGV[i + 1] ~= '' and tonumber(ARGV[i + 1]) > tonumber(at)",
        "local later = false",
    ),
    (
        "cancel-generation",
        "jobs/settle",
        "return not generation or generation <= tonumber(at)",
        "return true",
    ),
    (
        "every-death",
        "jobs/settle",
        "if not redis.call('ZSCORE', times, id) then return id end",
        "if true then return id end",
    ),
    (
        "repetition-writes",
        "jobs/enqueue",
        "redis.call('PEXPIRE', KEYS[4], left > 0 and left or window)",
        "",
    ),
    (
        "prune-dead",
        "maintenance/prune",
        "redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])",
        "redis.call('HKEYS', KEYS[3])",
    ),
    ("idempotent-resend", "jobs/enqueue", "  if receipt then\n", "  if false then\n"),
];

/// Returns the text of a script without the guard that is to be left out.
#[cfg(poolder_mutations)]
pub(crate) fn script(file: &str, text: &'static str) -> &'static str {
    let Some((_, _, guard, replacement)) =
        SCRIPT_GUARDS.iter().find(|(name, of, ..)| *of == file && mutated(name))
    else {
        return text;
    };
    assert!(text.contains(guard), "{file}.lua has no {guard:?} any more: update the mutation");
    Box::leak(text.replacen(guard, replacement, 1).into_boxed_str())
}

/// Returns the text of a script unchanged.
#[cfg(not(poolder_mutations))]
pub(crate) const fn script(_file: &str, text: &'static str) -> &'static str {
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(not(poolder_mutations))]
    fn this_build_leaves_no_guard_out() {
        assert!(SCRIPT_GUARDS.iter().all(|(name, ..)| !mutated(name)));
    }
}
