-- prune.lua: removes the jobs that have been dead for too long. The sealed lists of the batches among
--   them are left to batch_discard.lua. A job is found and removed in one step, so that no operator
--   can revive it in between.
-- KEYS 1 sorted set: job id by time of death in ms (`dead`)
--      2 hash: job id to record of the dead job (`dead:bodies`)
--      3 hash: batch job id to record of its sealed list (`batch:index`)
--      4 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
-- ARGV 1 latest time of death in ms of the jobs to remove  2 most jobs to remove
-- Returns the number of jobs that were removed
-- The keys are read before one is changed, so that a key of a wrong type ends the call.
redis.call('HLEN', KEYS[2])
redis.call('SCARD', KEYS[4])
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, ARGV[2])
for _, id in ipairs(ids) do
  -- The record of a batch that is dead begins with 0: another one belongs to a batch that is not.
  local record = redis.call('HGET', KEYS[3], id)
  -- The record of the job goes first, since a full server refuses no write after a removal. The time
  -- goes last: a repetition finds the job by it.
  redis.call('HDEL', KEYS[2], id)
  if record and string.sub(record, 1, 1) == '0' then redis.call('SADD', KEYS[4], id) end
  redis.call('ZREM', KEYS[1], id)
end
return #ids
