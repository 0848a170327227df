-- pop.lua: takes one entry out of a filling list, which the generation names.
-- KEYS 1 batcher  2 its open groups  3 filling list  4 due
-- ARGV 1 batcher's name  2 group  3 generation ("" for the one that is there)  4 index from 0
--      5 a text that is no entry
-- Returns {"OK", the entry, its generation}, {"RANGE", length, generation} when there is no such
--   entry, or {"GONE", generation of the list that is there or "", ""}
local meta = redis.call('HGET', KEYS[2], ARGV[2])
local generation, since, bytes = string.match(meta or '', '^(%d+) (%d+) (%d+)$')
if ARGV[3] ~= '' and ARGV[3] ~= generation then return {'GONE', generation or '', ''} end
local count = redis.call('LLEN', KEYS[3])
local at = tonumber(ARGV[4])
if at >= count then return {'RANGE', count, generation or ''} end
local entry = redis.call('LINDEX', KEYS[3], at)
redis.call('LSET', KEYS[3], at, ARGV[5])
-- From the nearer end.
redis.call('LREM', KEYS[3], at * 2 < count and 1 or -1, ARGV[5])
redis.call('HINCRBY', KEYS[1], 'waiting', -1)
redis.call('HINCRBY', KEYS[1], 'popped', 1)
if count == 1 then
  redis.call('HDEL', KEYS[2], ARGV[2])
  if generation then
    redis.call('ZREM', KEYS[4], 'timer:batch:seal:' .. ARGV[1] .. ':' .. generation .. ':' .. ARGV[2])
  end
elseif generation then
  redis.call('HSET', KEYS[2], ARGV[2],
    string.format('%s %s %.0f', generation, since, math.max(bytes - #entry, 0)))
end
return {'OK', entry, generation or ''}
