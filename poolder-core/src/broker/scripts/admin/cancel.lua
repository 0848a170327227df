-- cancel.lua: removes a job that waits. For a job that runs or cannot be found it stores a
--   cancellation, so that the job stops or never runs. A cancellation means the jobs of its id that
--   were enqueued before it. `unique/next.lua` stands in front.
-- KEYS 1 stream of the lane in which the job was seen
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 sorted set: job id by time of death in ms (`dead`)
--      5 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
--      6 hash of the partition's counters (`stats`)
--      7 hash with the number of commands of operators (`meta`)
--      8 completion record of the job
--      9 hash: batch job id to record of its sealed list (`batch:index`)
--      10 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
--      11 hash: key to the unique job that holds it (`unique`)
--      12-13 only for an id that is not generated: receipt of an idempotent enqueue, and hash of
--        schedule names to queued jobs
--      the last seven, for "group" and "admitted": those of `limits/waiting.lua`, which stands in front
-- ARGV 1 job id
--      2 place where the job was seen: "lane", "admitted" for the lane front or suspect, "group",
--        "due" or "" for none
--      3 entry id, for a lane; number and group, for "group"
--      4 all text of a plain entry joined by zero bytes ("" for an entry that Poolder wrote)
--      5 completion record to store
--      6 ms for which the record is kept ("" to store none)
--      7 control channel
--      8 due time of the job in ms, as the caller knows it (0 for unknown)
--      9 most cancellations that may be stored
--      10 "1" to store a cancellation even if the job is not where it was seen
--      11 "1" if the id is generated, so that no other job can have it
--      12 id under which the job waits in `due`
--      13 key of a unique job ("" for another job)
--      14 generation of a unique job in 6 bytes ("" for a generated id)
-- Returns "removed", "running" (the job runs, a cancellation is stored), "noted" (the job was not
--   found, a cancellation is stored), "dead" (the job was not found alive; it is dead and stays so),
--   "ended" (the job has ended), "full" (too many cancellations are stored, nothing was changed) or
--   "again" (the job is no longer where it was seen, nothing was changed)
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local job, generated, waits_as = ARGV[1], ARGV[11] == '1', ARGV[12]

-- Changes a counter. A counter that is not a number starts again: a counting error must not fail a
-- script that has already removed a job.
local function add(name, times)
  if type(redis.pcall('HINCRBY', KEYS[6], name, times)) == 'table' then
    redis.pcall('HSET', KEYS[6], name, math.max(times, 0))
  end
end

-- The keys of the batch are read before the job is removed, so that one of a wrong type ends the
-- call.
local batch = redis.call('HEXISTS', KEYS[9], job) == 1
if batch then redis.call('SCARD', KEYS[10]) end

-- The record of the key that the job holds, and the job that waits behind it, read before the job is
-- removed, as above.
local holds = ARGV[13] ~= '' and redis.call('HGET', KEYS[11], ARGV[13])
holds = holds and string.sub(holds, 1, 16) == job
  and (ARGV[14] == '' or string.sub(holds, 23, 28) == ARGV[14]) and holds
local next = holds and next_of(redis.call, holds, KEYS[2])

-- The job is removed: nothing may fail from here on.
local function after_removal()
  if holds then pass_key(redis.pcall, KEYS[11], ARGV[13], holds, KEYS[2], next) end
  if next then redis.pcall('PUBLISH', ARGV[7], 'due') end -- hints may be lost
  if batch then redis.pcall('SADD', KEYS[10], job) end
  -- Other jobs of the id may be cancelled as well. Without the receipt the id can be enqueued again.
  if generated then redis.pcall('ZREM', KEYS[5], job) else redis.pcall('DEL', KEYS[12]) end
  add('cancelled', 1)
  if ARGV[6] ~= '' then
    redis.pcall('SET', KEYS[8], ARGV[5], 'PX', ARGV[6])
    redis.pcall('PUBLISH', KEYS[8], 'end')
  end
  return 'removed'
end

local function store_cancellation(answer)
  if redis.call('ZCARD', KEYS[5]) >= tonumber(ARGV[9]) then return 'full' end
  local t = redis.call('TIME')
  local at, due = t[1] * 1000 + math.floor(t[2] / 1000), tonumber(ARGV[8])
  -- A cancellation does not affect a job that is enqueued after it, and a generated id has no
  -- generation. Therefore such a job that is due later gets a cancellation with a time 7 days after
  -- its due time.
  if generated and due > at then at = due + 604800000 end
  -- The number goes first: one that an error leaves without a command is harmless.
  redis.call('HINCRBY', KEYS[7], 'orders', 1)
  redis.call('ZADD', KEYS[5], string.format('%.0f', at), job)
  redis.pcall('PUBLISH', ARGV[7], 'orders') -- hints may be lost
  return answer
end

if ARGV[2] == 'group' and waits_in_group(ARGV[3], job) then
  local gone = leave_group(ARGV[3])
  if type(gone) == 'table' then return gone end
  return after_removal()
end
local in_lane = ARGV[2] == 'lane' or ARGV[2] == 'admitted'
local body = not in_lane and ARGV[2] ~= 'group' and redis.call('HGET', KEYS[3], waits_as)
if body then
  if ARGV[2] ~= 'due' then return 'again' end
  redis.call('HDEL', KEYS[3], waits_as)
  -- A time without a body is dropped by promote.lua.
  redis.pcall('ZREM', KEYS[2], waits_as)
  if string.byte(body, 5) ~= 0 then add('retrying', -1) end
  return after_removal()
end
if in_lane then
  local entry = redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3])[1]
  local f = entry and entry[2]
  local same = false
  if f and ARGV[4] ~= '' then same = table.concat(f, '\0') == ARGV[4]
  elseif f then same = f[1] == 'j' and string.sub(f[2], 3, 18) == job end
  if same then
    -- Without a consumer group no entry is claimed.
    local held = redis.pcall('XPENDING', KEYS[1], 'workers', ARGV[3], ARGV[3], 1)
    if held.err and string.sub(held.err, 1, 7) ~= 'NOGROUP' then return held end
    if not held.err and held[1] then return store_cancellation('running') end
    redis.call('XDEL', KEYS[1], ARGV[3])
    if ARGV[2] == 'admitted' then leave_lane(f) end
    return after_removal()
  end
end
if ARGV[2] ~= '' and ARGV[10] ~= '1' then return 'again' end
-- A job of a schedule may wait for the one before it. A longer search is not needed: such a job does
-- not start once its cancellation is stored.
local bytes = 0
for _, name in ipairs(not generated and redis.call('HKEYS', KEYS[13]) or {}) do
  local queued = redis.call('HGET', KEYS[13], name)
  if string.sub(queued, 4, 19) == job then
    redis.call('HDEL', KEYS[13], name)
    return after_removal()
  end
  bytes = bytes + #queued
  if bytes > 1048576 then break end
end
if ARGV[2] == '' and redis.call('ZSCORE', KEYS[4], job) then return 'dead' end
if generated and redis.call('EXISTS', KEYS[8]) == 1 then return 'ended' end
return store_cancellation('noted')
