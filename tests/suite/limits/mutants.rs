//! Guards of the scripts are left out, one at a time, and the walks must find each. The suite leaves
//! out a few; `cargo xtask limits` leaves out all.

use poolder_core::broker::script_texts;

use super::machine::Walk;
use super::proxy;
use crate::harness::Space;

/// A script, a guard in its text, and the text that takes its place.
const MUTANTS: &[(&str, &str, &str)] = &[
    ("limits/settle", "if leaving then r[4] = r[4] - 1 end", ""),
    ("limits/complete", "running = math.max(0, running - counts[name])", ""),
    ("limits/complete", "if verdict == 'OK' or string.byte(verdict, i) == 49 then", "if true then"),
    ("limits/complete", "    if state == FULL then", "    if false then"),
    (
        "limits/complete",
        "    redis.call('RPUSH', KEYS[7], '1')\n  end\nend\nif n > 0",
        "  end\nend\nif n > 0",
    ),
    (
        "limits/claim",
        "if limit ~= 0 and take > limit - running then take = limit - running end",
        "",
    ),
    ("limits/claim", "state == TURN and sub(popped[i], 1, 6) == sub(record, 19, 24)", "true"),
    ("limits/claim", "and sub(popped[i], 1, 6) == sub(record, 19, 24)", ""),
    ("limits/claim", "if room < wanted then wanted, full = room, true end", ""),
    ("limits/claim", "wanted, full = room, true", "wanted, full = room, room <= 0"),
    ("limits/claim", "tonumber(ARGV[2]) - left, false", "tonumber(ARGV[2]), false"),
    (
        "limits/claim",
        "  if not idle then redis.pcall('HSET', KEYS[1], 'idle', '1') end\nelseif",
        "elseif",
    ),
    ("limits/claim", "    push_token()\n  elseif", "  elseif"),
    ("limits/claim", "if crashes_of(counters) >= 2 then", "if false then"),
    ("limits/claim", "redis.call('HDEL', KEYS[3], unpack(used))", "redis.call('HLEN', KEYS[3])"),
    (
        "limits/claim",
        "redis.call('RPUSH', KEYS[4], unpack(ring))",
        "redis.call('LPUSH', KEYS[4], unpack(ring))",
    ),
    (
        "limits/claim",
        "redis.call('LPUSH', KEYS[4], back[i])",
        "redis.call('RPUSH', KEYS[4], back[i])",
    ),
    ("limits/sort", "if ring[1] then wake(k) end", ""),
    ("limits/sort", "return group, value, failed or ARGV[2] == '2'", "return group, value, false"),
    ("limits/sort", "waiting = waiting + #group.before + #group.behind", "waiting = waiting + 1"),
    ("limits/own", "  if limit < 0 then return PAUSED end\n", ""),
    ("limits/own", "change_group(k, ARGV[1], function() end)", "false"),
    ("limits/own", "paused, limits = '', before", "paused, limits = '', ''"),
    ("limits/look", "change_group(k, group, function() end)", "false"),
    ("limits/put", "if ring[1] then wake(k) end", ""),
    ("limits/put", " or redis.pcall('XLEN', KEYS[1]) ~= 0", ""),
    ("limits/put", "waiting = waiting + count", "waiting = waiting + 1"),
    ("admin/cancel", "function(r) r[3] = r[3] - 1 end", "function() end"),
    ("admin/cancel", "if ARGV[2] == 'admitted' then leave_lane(f) end", ""),
    ("admin/remove", "if deleted == 1 and found[1] then leave_lane(found[1][2]) end", ""),
    ("admin/bury", "if place == 'admitted' then leave_lane(fields) end", ""),
    ("admin/reschedule", "  leave_lane(fields)\n", ""),
    ("admin/reschedule", "head = ARGV[12] .. string.sub(head, 2)", "head = head"),
    // Tokens that are not taken, taken twice, or taken though there are too few.
    ("limits/claim", "full_at = math.max(full_at, micros()) + group_cost * rate.step", ""),
    ("limits/claim", "+ group_cost * rate.step end", "+ 2 * group_cost * rate.step end"),
    ("limits/claim", "            units = units + queue_cost\n", ""),
    ("limits/claim", "if rate and group_cost > units_in(rate, full_at) then", "if false then"),
    ("limits/claim", "if tokens and units + queue_cost > tokens then", "if false then"),
    ("limits/claim", "return math.max(1, (number_in('>I4', value, 4)))", "return 1"),
    ("limits/sort", "cost = math.max(1, number or 1)", "cost = 1"),
    // Tokens that are forgotten with their group, or do not come back.
    (
        "limits/complete",
        "if state == EMPTY and running == 0 then at = kept_until(full_at, held) end",
        "",
    ),
    (
        "limits/claim",
        "if queue_full_at > 0 and queue_full_at < tonumber(f[9]) then",
        "if false then",
    ),
    ("limits/look", "elseif full_at > now + rate.full + rate.window then", "elseif false then"),
    // Times at which the leader does not look.
    ("limits/on_time", "    if state == LATER then", "    if false then"),
    ("limits/on_time", "    wake(k)\n", ""),
    ("limits/claim", "  redis.pcall('HSET', KEYS[1], 'again', string.format('%.0f', again))\n", ""),
    // Holds and charges.
    ("limits/settle", "if not queue then r[9] = math.max(r[9], till) end", ""),
    ("limits/settle", "'held', till, 'again', till)", "'again', till)"),
    ("limits/settle", "    redis.call('HSET', grouped_in, grouped, value)\n", ""),
    ("limits/settle", "if charging and rate then r[8] = charged(rate, r[8]) end", ""),
    ("limits/settle", "if charging then charge_queue() end", ""),
    ("admin/remove", "function(r) r[3] = r[3] - 1 end", "function() end"),
];

/// The suite leaves out so many guards, the first ones, which are found at once; `cargo xtask limits`
/// leaves out each.
const SAMPLE: usize = 4;

#[tokio::test]
async fn a_guard_that_is_left_out_is_found() {
    let space = Space::new("limits-mutants");
    let server = space.url().to_owned();
    // Without a change the walks succeed behind the proxy as well.
    let same = Space::on(
        format!("redis://127.0.0.1:{}/", proxy::start(server.clone(), vec![]).await),
        "limits-same",
    );
    Walk::run(&same, 0).await.unwrap_or_else(|why| panic!("nothing is left out: {why}"));
    let mut unfound = vec![];
    let all = std::env::var_os("POOLDER_LIMIT_MUTANTS").is_some();
    for (script, guard, instead) in MUTANTS.iter().take(if all { MUTANTS.len() } else { SAMPLE }) {
        let (_, text) = script_texts().iter().find(|(name, _)| name == script).unwrap();
        assert_eq!(text.matches(guard).count(), 1, "{script}: {guard}");
        let mutant = text.replace(guard, instead);
        let mut load = redis::cmd("SCRIPT");
        let other: String = space.redis(load.arg("LOAD").arg(&mutant)).await;
        let hash = redis::Script::new(text).get_hash().to_owned();
        let port = proxy::start(server.clone(), vec![(hash, other)]).await;
        let beside = Space::on(format!("redis://127.0.0.1:{port}/"), "limits-mutant");
        let mut found = None;
        for seed in 0..12 {
            if let Err(why) = Walk::run(&beside, seed).await {
                found = Some((seed, why));
                break;
            }
        }
        match found {
            Some((seed, why)) => println!("{script}: {guard:.50}: walk {seed}: {why}"),
            None => unfound.push(format!("{script}: {guard}")),
        }
    }
    assert!(unfound.is_empty(), "not found: {unfound:#?}");
}
