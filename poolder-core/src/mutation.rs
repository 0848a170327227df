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
    // Those of unique jobs, for `cargo xtask mutants`.
    ("unique-owner", "jobs/settle", "if string.sub(record, 1, 16) ~= job then return nil end", ""),
    (
        "unique-generation",
        "jobs/settle",
        "if since ~= '' and string.sub(record, 23, 28) ~= since then return nil end",
        "",
    ),
    (
        "unique-start-owner",
        "unique/start",
        "if not record or string.sub(record, 1, 16) ~= ARGV[2] then return 0 end",
        "if not record then return 0 end",
    ),
    (
        "unique-held",
        "unique/holder",
        "if now < ends or #record == 80 and not sweeping then",
        "if false then",
    ),
    (
        "unique-cancel",
        "admin/cancel",
        "if holds then pass_key(redis.pcall, KEYS[11], ARGV[13], holds, KEYS[2], next) end",
        "",
    ),
    (
        "unique-remove",
        "admin/remove",
        "pass_key(redis.pcall, KEYS[7], ARGV[i + 4], holds, KEYS[8], next)",
        "",
    ),
    (
        "unique-bury",
        "admin/bury",
        "pass_key(redis.pcall, KEYS[7], ARGV[i + 7], holds, KEYS[8], next)",
        "",
    ),
    (
        "unique-revive",
        "admin/revive",
        "holder_of(KEYS[10], unique, now, KEYS[11], KEYS[12], 3)",
        "false",
    ),
    (
        "unique-place",
        "jobs/settle",
        "for lane = 0, 4 do if KEYS[7 + lane] == added_to then place = lane end end",
        "",
    ),
    (
        "unique-promoted-place",
        "maintenance/promote",
        "note_place(envelope, string.byte(body, 1) or 3, added)",
        "",
    ),
    ("unique-untried", "unique/holder", "and not is_untried(waits, other)", ""),
    (
        "unique-newest",
        "unique/holder",
        "if next and ARGV[11] ~= 'keep' and replace_data(next, string.sub(record, 41, 56)) then",
        "if false then",
    ),
    (
        "unique-behind-is-due",
        "jobs/settle",
        "run('ZADD', due, 'XX', string.format('%.0f', at), next)",
        "",
    ),
    (
        "unique-behind-stays",
        "jobs/settle",
        ".. string.char(place) .. where .. string.sub(record, 41))",
        ".. string.char(place) .. where)",
    ),
    ("unique-behind-promoted", "maintenance/promote", "        .. string.sub(record, 41))", ")"),
    (
        "unique-behind-waits",
        "admin/reschedule",
        "if record and next_of(redis.call, record, KEYS[2]) == job then",
        "if false then",
    ),
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
