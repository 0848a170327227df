-- batch_discard.lua: removes the sealed list of a batch job that no longer exists, and its record.
-- KEYS 1 sealed list
--      2 hash of the batcher
--      3 hash: batch job id to record of its sealed list (`batch:index`)
--      4 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
-- ARGV 1 id of the batch job
-- Returns the number of entries that the list had
-- The keys are read before one is changed, so that a key of a wrong type ends the call.
local known = redis.call('HGET', KEYS[3], ARGV[1])
redis.call('SCARD', KEYS[4])
-- A value that is no list is removed as well. Then the record says how many entries there were.
local count = redis.pcall('LLEN', KEYS[1])
if type(count) == 'table' then
  count = tonumber(string.match(known or '', '^%d (%d+)') or 0)
end
-- The list goes before its record, by which a repeated call finds it, and before its entries are
-- counted, so that they are counted once.
redis.call('UNLINK', KEYS[1])
if known and string.sub(known, 1, 1) == '1' then
  redis.pcall('HINCRBY', KEYS[2], 'waiting', 0 - count) -- never -0, which Redis 6.2 refuses
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('SREM', KEYS[4], ARGV[1])
return count
