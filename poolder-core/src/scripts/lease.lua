-- lease.lua: takes or renews the leadership of a partition.
-- KEYS 1 lease
-- ARGV 1 node  2 how long it holds, in ms  3 a node known to be dead ("" for none)
-- Returns {1 we lead | 0 somebody else does, term, holder}
-- What is no number counts as 0, and nobody leads for longer than ten leases: neither garbage nor a
-- clock that was set back may leave a partition without a leader.
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'until')
local holder, term, till = l[1], tonumber(l[2]) or 0, tonumber(l[3]) or 0
local held = holder and till > now and till <= now + 10 * ARGV[2]
if held and holder ~= ARGV[1] and holder ~= ARGV[3] then return {0, term, holder} end
if not (held and holder == ARGV[1]) then term = term + 1 end
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'term', term,
  'until', string.format('%.0f', now + ARGV[2]))
return {1, term, ARGV[1]}
