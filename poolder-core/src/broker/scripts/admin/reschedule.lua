-- reschedule.lua: changes the due time of a job that waits in a lane, in a group or in `due`, and
--   perhaps its payload. A job in a lane or a group that is to run now stays; if its slot waits for
--   its next attempt, the wait ends. A job that waits behind another one of its unique key is due at
--   that time if the other one has ended before. `unique/next.lua` stands in front.
-- KEYS 1 stream of the lane in which the job was seen
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 hash of the partition's counters (`stats`)
--      5 hash of the slot's lease (`lease`)
--      6 hash: key to the unique job that holds it (`unique`)
--      the last seven, for "group" and "admitted": those of `limits/waiting.lua`, which stands in front
-- ARGV 1 id of the job; for "due" that under which it waits
--      2 place where the job was seen: "lane", "admitted" for the lane front or suspect, "group" or
--        "due"
--      3 entry id, for a lane; number and group, for "group"
--      4 new due time in ms ("" for now)
--      5 head, and  6 envelope, but for a job in "due" that is not edited
--      7 control channel
--      8 key of a unique job ("" for another job)  9 id of the job  10 generation of a unique job in 6
--        bytes ("" for a generated id)  11 ms for which it holds the key beyond its due time
--      12 index of the lane, in a byte, in which a job waits that holds no permit
--      13 of a job in "due" that is edited: the due time at which it was seen ("" for another job)
--      14 "1" for an edited job in "due" that waited for another attempt
-- Returns 1 when rescheduled, 0 when the job no longer waits where it was seen
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts

-- Changes a counter. One that is not a number starts again: a counting error must not fail the call.
local function count(name, times)
  if type(redis.pcall('HINCRBY', KEYS[4], name, times)) == 'table' then
    redis.pcall('HSET', KEYS[4], name, math.max(times, 0))
  end
end

local job, at = ARGV[1], ARGV[4]
if at == '' then
  local t = redis.call('TIME')
  at = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
end
if ARGV[2] == 'due' then
  if redis.call('HEXISTS', KEYS[3], job) == 0 then return 0 end
  if ARGV[13] ~= '' then
    -- A job that was tried since waits until another time.
    local seen = redis.call('ZSCORE', KEYS[2], job)
    if not seen or tonumber(seen) ~= tonumber(ARGV[13]) then return 0 end
    redis.call('HSET', KEYS[3], job, ARGV[5] .. ARGV[6])
  end
  local record = ARGV[8] ~= '' and redis.call('HGET', KEYS[6], ARGV[8])
  if record and next_of(redis.call, record, KEYS[2]) == job then
    redis.call('HSET', KEYS[6], ARGV[8], string.sub(record, 1, 70)
      .. struct.pack('>I6', math.max(0, math.min(tonumber(at), behind))) .. string.rep('\0', 4))
    return 1
  end
  redis.call('ZADD', KEYS[2], at, job)
  if ARGV[14] == '1' then count('retrying', -1) end
else
  local id, grouped, head, fields = ARGV[3], ARGV[2] == 'group', ARGV[5], {}
  if grouped then
    if not waits_in_group(id, job) then return 0 end
    if ARGV[4] == '' then return 1 end
  else
    local found = redis.call('XRANGE', KEYS[1], id, id)[1]
    if not found then return 0 end
    if ARGV[2] == 'admitted' then fields = found[2] end
    local held = redis.pcall('XPENDING', KEYS[1], 'workers', id, id, 1)
    -- Without a consumer group no entry is claimed.
    if held.err and string.sub(held.err, 1, 7) ~= 'NOGROUP' then return held end
    if not held.err and held[1] then return 0 end
  end
  if not grouped and ARGV[4] == '' then
    local l = redis.call('HMGET', KEYS[5], 'hold', 'held')
    if l[1] and l[2] == l[1] .. ' ' .. id then
      redis.call('HDEL', KEYS[5], 'hold', 'held')
      count('rescheduled', 1)
    end
    return 1
  end
  -- A job that gives its permit back is put into its group when it is due, which needs its own lane.
  for i = 1, #fields, 2 do
    if fields[i] == 'g' then head = ARGV[12] .. string.sub(head, 2) end
  end
  -- Another job of this id may wait already. Then this one waits under another of 15 ids.
  local last, n = string.byte(job, 16), 1
  while redis.call('HEXISTS', KEYS[3], job) == 1 do -- bounded: 16 ids
    if n > 15 then return 0 end
    job = string.sub(job, 1, 15) .. string.char((last + n) % 256)
    n = n + 1
  end
  redis.call('HSET', KEYS[3], job, head .. ARGV[6])
  local moved = redis.pcall('ZADD', KEYS[2], at, job)
  if type(moved) == 'number' then
    moved = grouped and leave_group(id) or redis.pcall('XDEL', KEYS[1], id)
    if type(moved) == 'table' then redis.pcall('ZREM', KEYS[2], job) end
  end
  if type(moved) == 'table' then
    -- The job stays where it was, and nowhere else.
    redis.pcall('HDEL', KEYS[3], job)
    return moved
  end
  leave_lane(fields)
  if string.byte(head, 5) ~= 0 then count('retrying', 1) end
end
-- The job holds its key until it is due, and longer, and from its new place. The time of a window
-- stays.
local holds = ARGV[8] ~= '' and redis.pcall('HGET', KEYS[6], ARGV[8])
if type(holds) == 'string' and #holds >= 40 and string.sub(holds, 1, 16) == ARGV[9]
  and (ARGV[10] == '' or string.sub(holds, 23, 28) == ARGV[10]) then
  local ends = string.byte(holds, 29) == 3 and string.sub(holds, 17, 22)
    or struct.pack('>I6', math.min(tonumber(at) + tonumber(ARGV[11]), behind))
  redis.pcall('HSET', KEYS[6], ARGV[8], string.sub(holds, 1, 16) .. ends .. string.sub(holds, 23, 29)
    .. '\5' .. string.rep('\0', 10) .. string.sub(holds, 41))
end
count('rescheduled', 1)
-- Hints may be lost.
if redis.pcall('ZRANGE', KEYS[2], 0, 0)[1] == job then redis.pcall('PUBLISH', ARGV[7], 'due') end
return 1
