-- node_beat.lua: records a heartbeat of a node. Returns which nodes are silent, which are dead, and
--   whether this node was declared dead.
-- KEYS 1 sorted set: node by time of its last heartbeat in ms (`nodes`)
--      2 sorted set: dead node by time of death in ms (`marks`)
--      3 hash: node to the order that it is to carry out (`orders`)
-- ARGV 1 node  2 silence in ms after which a node is listed  3 ms since death for which a dead node
--      is listed  4 '1' to count the nodes  5 ms by which the node may be silent for longer: its
--      heartbeat is stored with a time so far ahead, by less than the silence
-- Returns {"OK" | "NEW" (this node was not in the roster) | "DEAD" (this node was declared dead),
--   now in ms, silent nodes, each followed by its last heartbeat in ms, dead nodes, number of nodes |
--   0 when they are not counted, order for this node | "" for none}
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
local beat = string.format('%.0f', now + ARGV[5])
-- CH makes ZADD count a changed score. A node that is not in the set was declared dead, or the set
-- was lost.
local verdict = 'OK'
local beaten = redis.pcall('ZADD', KEYS[1], 'XX', 'CH', beat, ARGV[1])
if type(beaten) == 'table' then
  -- A full server refuses the command only until another one has written.
  redis.call('PERSIST', KEYS[1])
  beaten = redis.call('ZADD', KEYS[1], 'XX', 'CH', beat, ARGV[1])
end
if beaten == 0 then
  if redis.call('ZSCORE', KEYS[2], ARGV[1]) then return {'DEAD', now, {}, {}, 0, ''} end
  if redis.call('ZADD', KEYS[1], beat, ARGV[1]) == 1 then verdict = 'NEW' end
end
local silent = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2], 'WITHSCORES',
  'LIMIT', 0, 100)
-- A heartbeat ahead of the clock is from before the clock was set back, and is listed as silent. A
-- living node sends another one; a dead node is found before the clock has caught up.
local ahead = redis.call('ZRANGEBYSCORE', KEYS[1], now + ARGV[2], '+inf', 'WITHSCORES',
  'LIMIT', 0, 100)
for i = 1, #ahead do silent[#silent + 1] = ahead[i] end
local dead = redis.call('ZRANGEBYSCORE', KEYS[2], now - ARGV[3], '+inf', 'LIMIT', 0, 100)
-- A key of a wrong type must not make the nodes look dead.
local order = redis.pcall('HGET', KEYS[3], ARGV[1])
return {verdict, now, silent, dead, ARGV[4] == '1' and redis.call('ZCARD', KEYS[1]) or 0,
  type(order) == 'string' and order or ''}
