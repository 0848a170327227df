-- leader_elect.lua: takes or keeps the leadership of a partition.
-- KEYS 1 lease of the leader: "<term> <node>" with a time to live (`leader`)
--      2 hash with the last term (`meta`)
-- ARGV 1 node  2 time to live of the lease in ms  3 node known to be dead ("" for none)
-- Returns {1 when this node leads | 0 when another node leads, term, leader}
-- A lease that cannot be read counts as free, and so does one that never expires or expires later
-- than ten times to live from now: neither garbage nor a clock that was set back leaves a partition
-- without a leader.
-- GETEX reads like GET, but counts as a write: after it a full server refuses no other.
local lease = redis.pcall('GETEX', KEYS[1])
if type(lease) == 'table' and not string.find(lease.err, 'WRONGTYPE', 1, true) then return lease end
local term, holder
if type(lease) == 'string' then term, holder = string.match(lease, '^(%d+) (.+)$') end
if holder and holder ~= ARGV[1] and holder ~= ARGV[3] then
  local left = redis.call('PTTL', KEYS[1])
  if left >= 0 and left <= 10 * ARGV[2] then return {0, tonumber(term), holder} end
end
if holder ~= ARGV[1] then
  term = redis.pcall('HINCRBY', KEYS[2], 'term', 1)
  if type(term) == 'table' then
    term = 1
    redis.call('HSET', KEYS[2], 'term', term)
  end
end
redis.call('SET', KEYS[1], string.format('%.0f ', term) .. ARGV[1], 'PX', ARGV[2])
return {1, tonumber(term), ARGV[1]}
