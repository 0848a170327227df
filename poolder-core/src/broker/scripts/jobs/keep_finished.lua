-- keep_finished.lua: keeps finished jobs, and drops those that are too many or too old. A full server
--   refuses it, since nothing depends on these jobs.
-- KEYS 1 sorted set: job id by the time of its end in ms (`finished`)
--      2 hash: job id to record of the finished job (`finished:bodies`)
-- ARGV 1 most jobs to keep  2 ms for which a job is kept
--      3.. job id and record of at most 500 jobs
-- Returns the number of jobs that are kept
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
-- The keys are read before one is changed, so that a key of a wrong type ends the call.
redis.call('HLEN', KEYS[2])
for i = 3, #ARGV, 2 do
  -- The time is added first and removed last: without it, no call would find the record.
  redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[i])
  redis.call('HSET', KEYS[2], ARGV[i], ARGV[i + 1])
end

local function drop(ids)
  if #ids == 0 then return end
  redis.call('HDEL', KEYS[2], unpack(ids)) -- bounded: 1000 ids
  redis.call('ZREM', KEYS[1], unpack(ids)) -- bounded: 1000 ids
end

local oldest = string.format('%.0f', now - ARGV[2])
drop(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. oldest, 'LIMIT', 0, 1000))
local over = redis.call('ZCARD', KEYS[1]) - ARGV[1]
if over > 0 then drop(redis.call('ZRANGE', KEYS[1], 0, math.min(over, 1000) - 1)) end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return redis.call('ZCARD', KEYS[1])
