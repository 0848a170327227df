-- pop.lua: removes one entry from the list in which a group gathers entries, and returns it.
-- KEYS 1 hash of the batcher
--      2 hash: group to generation, time of the first entry in ms, and bytes of its list
--      3 list of the entries that the group gathers
--      4 sorted set: job id or timer by due time in ms (`due`)
-- ARGV 1 name of the batcher
--      2 group
--      3 generation of the list ("" for the current one)
--      4 index of the entry, from 0
--      5 unique text that differs from every entry
-- Returns {"OK", entry, generation of its list}, {"RANGE", length of the list, generation} when the
--   list has no such index, or {"GONE", generation of the current list or "", ""} when it is
--   another generation than the given one
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local meta = redis.call('HGET', KEYS[2], ARGV[2])
local generation, since, bytes = string.match(meta or '', '^(%d+) (%d+) (%d+)$')
if ARGV[3] ~= '' and ARGV[3] ~= generation then return {'GONE', generation or '', ''} end
local count = redis.call('LLEN', KEYS[3])
local at = tonumber(ARGV[4])
if at >= count then return {'RANGE', count, generation or ''} end
local entry = redis.call('LINDEX', KEYS[3], at)
redis.call('LSET', KEYS[3], at, ARGV[5])
-- The search for the text begins at the nearer end of the list.
local removed = redis.pcall('LREM', KEYS[3], at * 2 < count and 1 or -1, ARGV[5])
if type(removed) == 'table' then
  redis.call('LSET', KEYS[3], at, entry)
  return removed
end
-- The caller must get the entry: nothing may fail from here on. The meta data of an empty list, and
-- its timer, do no harm.
redis.pcall('HINCRBY', KEYS[1], 'waiting', -1)
redis.pcall('HINCRBY', KEYS[1], 'popped', 1)
if count == 1 then
  redis.pcall('HDEL', KEYS[2], ARGV[2])
  if generation then
    redis.pcall('ZREM', KEYS[4],
      'timer:batch:seal:' .. ARGV[1] .. ':' .. generation .. ':' .. ARGV[2])
  end
elseif generation then
  redis.pcall('HSET', KEYS[2], ARGV[2],
    string.format('%s %s %.0f', generation, since, math.max(bytes - #entry, 0)))
end
return {'OK', entry, generation or ''}
