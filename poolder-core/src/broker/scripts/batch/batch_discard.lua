-- batch_discard.lua: removes the sealed list of a batch job that is gone, and what is known of it.
-- KEYS 1 sealed list  2 batcher  3 index of sealed lists  4 sealed lists to be removed
-- ARGV 1 job id
-- Returns how many entries it had
local count = redis.call('LLEN', KEYS[1])
local known = redis.call('HGET', KEYS[3], ARGV[1])
if known and string.sub(known, 1, 1) == '1' then
  redis.call('HINCRBY', KEYS[2], 'waiting', 0 - count) -- never -0, which Redis 6.2 refuses
end
redis.call('HDEL', KEYS[3], ARGV[1])
redis.call('UNLINK', KEYS[1])
redis.call('SREM', KEYS[4], ARGV[1])
return count
