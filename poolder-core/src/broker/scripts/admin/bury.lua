-- bury.lua: buries jobs that wait in a lane, in a group or for their time: they are dead then, until
--   an operator revives them. A job that runs stays, and so does one that stands for a batch.
--   `unique/next.lua` stands in front.
-- KEYS 1 stream of the lane, or sorted set `due`, in which all the jobs are
--      2 hash: job id to head and envelope of the waiting job (`bodies`)
--      3 sorted set: job id by time of death in ms (`dead`)
--      4 hash: job id to record of the dead job (`dead:bodies`)
--      5 hash of the partition's counters (`stats`)
--      6 hash: batch job id to record of its sealed list (`batch:index`)
--      7 hash: key to the unique job that holds it (`unique`)
--      8 sorted set: job id by due time in ms (`due`)
--      9.. completion record of each job
--      the last seven, for "group" and "admitted": those of `limits/waiting.lua`, which stands in front
-- ARGV 1 "lane", "admitted" for the lane front or suspect, "group" or "due"  2 control channel
--      3.. for each job, at most 50 jobs: id under which it is stored, entry id (for a lane) or
--        number and group (for "group"), dead record up to the head, head and envelope (but for
--        "due"), completion record to store, ms for which it is kept ("" to store none), id of the
--        job, key of a unique job ("" for another one), generation of a unique job in 6 bytes ("" for
--        a generated id)
-- Returns a string with one digit per job: 1 for buried, 0 for a job that runs, stands for a batch,
--   or is no longer there
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local place, each, key, started = ARGV[1], {}, 9, false
-- The records of the dead are read before a job is moved, so that a key of a wrong type ends the
-- call.
redis.call('HLEN', KEYS[4])

-- Changes a counter. A counter that is not a number starts again: a counting error must not fail a
-- script that has already moved jobs.
local function add(name, times)
  if type(redis.pcall('HINCRBY', KEYS[5], name, times)) == 'table' then
    redis.pcall('HSET', KEYS[5], name, math.max(times, 0))
  end
end

-- The fields of the entry of the current job, in a lane.
local fields

-- Returns the head and the envelope of a job that waits, nil for one that does not; and an error.
local function body_of(job, entry, given)
  if redis.call('HEXISTS', KEYS[6], job) == 1 then return nil end
  if place == 'due' then return redis.call('HGET', KEYS[2], job) or nil end
  if place == 'group' then return waits_in_group(entry, job) and given or nil end
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if not found then return nil end
  fields = found[2]
  local held = redis.pcall('XPENDING', KEYS[1], 'workers', entry, entry, 1)
  -- Without a consumer group no entry is claimed.
  if held.err and string.sub(held.err, 1, 7) ~= 'NOGROUP' then return nil, held end
  return (held.err or not held[1]) and given or nil
end

-- Returns the id under which a job is kept among the dead: its own, or the first free one of 15
-- others if another generation of its id is there already; nil when none is free.
local function free_id(job)
  local last = string.byte(job, 16)
  for n = 0, 15 do
    local id = string.sub(job, 1, 15) .. string.char((last + n) % 256)
    if not redis.call('ZSCORE', KEYS[3], id) then return id end
  end
end

local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
for i = 3, #ARGV, 9 do
  local job, entry = ARGV[i], ARGV[i + 1]
  local body, failure = body_of(job, entry, ARGV[i + 3])
  if failure then return failure end
  local id = body and free_id(job)
  if id then
    -- The destination is written before the source is removed.
    redis.call('ZADD', KEYS[3], now, id)
    local moved = redis.pcall('HSET', KEYS[4], id, ARGV[i + 2] .. body)
    if type(moved) == 'number' then
      moved = place == 'due' and redis.pcall('HDEL', KEYS[2], job)
        or place == 'group' and leave_group(entry) or redis.pcall('XDEL', KEYS[1], entry)
    end
    if type(moved) == 'table' then
      -- The job waits on, and is nowhere else.
      redis.pcall('HDEL', KEYS[4], id)
      redis.pcall('ZREM', KEYS[3], id)
      return moved
    end
    if place == 'admitted' then leave_lane(fields) end
    -- A time without a body is dropped by promote.lua.
    if place == 'due' then
      redis.pcall('ZREM', KEYS[1], job)
      if string.byte(body, 5) ~= 0 then add('retrying', -1) end
    end
    add('buried', 1)
    -- A dead job holds no key.
    local holds = ARGV[i + 7] ~= '' and redis.pcall('HGET', KEYS[7], ARGV[i + 7])
    if type(holds) == 'string' and string.sub(holds, 1, 16) == ARGV[i + 6]
      and (ARGV[i + 8] == '' or string.sub(holds, 23, 28) == ARGV[i + 8]) then
      local next = next_of(redis.pcall, holds, KEYS[8])
      pass_key(redis.pcall, KEYS[7], ARGV[i + 7], holds, KEYS[8], next)
      started = started or next ~= nil
    end
    if ARGV[i + 5] ~= '' then
      redis.pcall('SET', KEYS[key], ARGV[i + 4], 'PX', ARGV[i + 5])
      redis.pcall('PUBLISH', KEYS[key], 'end')
    end
  end
  each[#each + 1] = id and 1 or 0
  key = key + 1
end
if started then redis.pcall('PUBLISH', ARGV[2], 'due') end -- hints may be lost
return table.concat(each)
