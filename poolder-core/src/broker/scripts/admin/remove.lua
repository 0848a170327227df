-- remove.lua: deletes jobs that wait or are dead. A job that runs is not deleted.
--   `unique/next.lua` stands in front.
-- KEYS 1 stream of the lane, or sorted set `due` or `dead`, in which all the jobs are
--      2 hash: job id to body (`bodies` or `dead:bodies`); not used for a lane or a group
--      3 hash of the partition's counters (`stats`)
--      4 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
--      5 hash: batch job id to record of its sealed list (`batch:index`)
--      6 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
--      7 hash: key to the unique job that holds it (`unique`)
--      8 sorted set: job id by due time in ms (`due`)
--      9.. completion record of each job, and receipt of its idempotent enqueue
--      the last seven, for "group" and "admitted": those of `limits/waiting.lua`, which stands in front
-- ARGV 1 "lane", "admitted" for the lane front or suspect, "group", "due" or "dead"
--      2 completion record to store  3 control channel
--      4.. for each job, at most 500 jobs: id under which it is stored, entry id (for a lane) or
--        number and group (for "group"), ms for which its record is kept ("" to store none), id of
--        the job, key of a unique job ("" for another one), generation of a unique job in 6 bytes
--        ("" for a generated id)
-- Returns a string with one digit per job: 1 for deleted, 0 for a job that runs or is no longer
--   there
local place, each, key, count, retrying, started = ARGV[1], {}, 9, 0, 0, false

-- Changes a counter. A counter that is not a number starts again: a counting error must not fail a
-- script that has already deleted jobs.
local function add(name, times)
  if times ~= 0 and type(redis.pcall('HINCRBY', KEYS[3], name, times)) == 'table' then
    redis.pcall('HSET', KEYS[3], name, math.max(times, 0))
  end
end

-- The keys of batches are read before a job is deleted, so that one of a wrong type ends the call.
redis.call('SCARD', KEYS[6])
local failure
for i = 4, #ARGV, 6 do
  local job, deleted = ARGV[i], 0
  local batch, body = redis.pcall('HEXISTS', KEYS[5], job), false
  if type(batch) == 'table' then
    deleted = batch
  elseif place == 'lane' or place == 'admitted' then
    local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[i + 1], ARGV[i + 1], 1)
    -- Without a consumer group no entry is claimed.
    if held.err and string.sub(held.err, 1, 7) ~= 'NOGROUP' then
      deleted = held
    elseif held.err or not held[1] then
      local found = {}
      if place == 'admitted' then
        found = redis.pcall('XRANGE', KEYS[1], ARGV[i + 1], ARGV[i + 1])
      end
      deleted = found.err and found or redis.pcall('XDEL', KEYS[1], ARGV[i + 1])
      if deleted == 1 and found[1] then leave_lane(found[1][2]) end
    end
  elseif place == 'group' then
    local waits = redis.pcall('HEXISTS', KEYS[in_group.jobs], ARGV[i + 1])
    deleted = waits
    if waits == 1 then
      deleted = waits_in_group(ARGV[i + 1], job) and leave_group(ARGV[i + 1]) or 0
    end
  else
    body = place == 'due' and redis.pcall('HGET', KEYS[2], job)
    deleted = type(body) == 'table' and body or redis.pcall('HDEL', KEYS[2], job)
  end
  -- An error ends the call; the jobs before it are deleted and counted.
  if type(deleted) == 'table' then
    failure = deleted
    break
  end
  if deleted == 1 then
    -- A time without a body is dropped by promote.lua, or with the oldest dead.
    if place == 'due' or place == 'dead' then redis.pcall('ZREM', KEYS[1], job) end
    if batch == 1 then redis.pcall('SADD', KEYS[6], job) end
    -- A job that was deleted can be enqueued again. Other jobs may have an id that is derived from a
    -- name: their cancellation stays. A generated id is a UUIDv7.
    redis.pcall('DEL', KEYS[key + 1])
    local holds = ARGV[i + 4] ~= '' and redis.pcall('HGET', KEYS[7], ARGV[i + 4])
    if type(holds) == 'string' and string.sub(holds, 1, 16) == ARGV[i + 3]
      and (ARGV[i + 5] == '' or string.sub(holds, 23, 28) == ARGV[i + 5]) then
      local next = next_of(redis.pcall, holds, KEYS[8])
      pass_key(redis.pcall, KEYS[7], ARGV[i + 4], holds, KEYS[8], next)
      started = started or next ~= nil
    end
    if math.floor(string.byte(job, 7) / 16) == 7 then redis.pcall('ZREM', KEYS[4], job) end
    count = count + 1
    if body and string.byte(body, 5) ~= 0 then retrying = retrying + 1 end
    if ARGV[i + 2] ~= '' and place ~= 'dead' then
      redis.pcall('SET', KEYS[key], ARGV[2], 'PX', ARGV[i + 2])
      redis.pcall('PUBLISH', KEYS[key], 'end')
    end
  end
  each[#each + 1] = deleted
  key = key + 2
end
if started then redis.pcall('PUBLISH', ARGV[3], 'due') end -- hints may be lost
add('deleted', count)
add('retrying', 0 - retrying)
return failure or table.concat(each)
