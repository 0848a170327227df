-- promote.lua: moves due jobs into their ready lanes. A job without a readable head goes to the
--   normal lane as it is: the node that claims it runs it, or buries it with a reason.
--   `unique/next.lua` stands in front.
-- KEYS 1 sorted set: job id or timer by due time in ms (`due`)
--      2 hash: job id to head and envelope of the waiting job (`bodies`)
--      3-7 streams of all lanes: front, suspect, high, normal, low
--      8 hash of the partition's counters (`stats`)
--      9 hash: key to the unique job that holds it (`unique`)
-- ARGV 1 most jobs to move, at most 500  2 now in ms ("" for the server's clock)
-- Returns {number of jobs moved, due time in ms of the next member (-1 for none, 0 for a time before
--   1970), now in ms, timers that are due}
-- A member of `due` that has a body is a job. A member without a body that is longer than a job id
-- (16 bytes) is a timer. It stays: the caller runs the script of that timer, which also removes it.
-- A shorter member without a body is a remnant, and is removed. A job is first added to its lane. If
-- its body cannot be removed then, the entry is taken back, so that no job is in both places.
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local now = tonumber(ARGV[2])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000 + math.floor(t[2] / 1000)
end

-- Returns the stream of a waiting job, the position of its envelope, and byte 5, which follows the
-- lane, the length and the array header of the counters: it is 0 only if no attempt has failed.
local function head(body)
  local lane, high, low = string.byte(body, 1, 3)
  local from = low and 4 + high * 256 + low
  if not from or lane > 4 or from > #body then return KEYS[6], 1, 0 end
  return KEYS[3 + lane], from, from > 5 and string.byte(body, 5) or 0
end

-- Notes the place of a unique job in the record of its key. `unique/holder.lua` describes it.
local function note_place(envelope, lane, entry)
  local from, key = 1, nil
  while true do -- bounded: by the options, 4,096 bytes
    key, from = key_in(envelope, from)
    if not key then return end
    local record = redis.pcall('HGET', KEYS[9], key)
    if type(record) == 'string' and #record >= 40
      and string.sub(record, 1, 16) == string.sub(envelope, 3, 18) then
      local ms, number = string.match(entry, '^(%d+)-(%d+)$')
      redis.pcall('HSET', KEYS[9], key, string.sub(record, 1, 29) .. string.char(lane)
        .. struct.pack('>I6I4', tonumber(ms), math.min(tonumber(number), 4294967295))
        .. string.sub(record, 41))
    end
  end
end

-- An error ends the call; the jobs before it are moved and counted.
local moved, bytes, retried, timers, failure = 0, 0, 0, {}, nil
local ids = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
for _, id in ipairs(ids) do
  local body = redis.pcall('HGET', KEYS[2], id)
  if type(body) == 'table' then
    failure = body
    break
  end
  if body then
    bytes = bytes + #body
    if moved > 0 and bytes > 1048576 then break end
    local lane, from, failed = head(body)
    local envelope = string.sub(body, from)
    local added
    if from > 5 then
      added = redis.pcall('XADD', lane, '*', 'j', envelope, 'c', string.sub(body, 4, from - 1))
    else
      added = redis.pcall('XADD', lane, '*', 'j', envelope)
    end
    failure = type(added) == 'table' and added
    local gone = failure or redis.pcall('HDEL', KEYS[2], id)
    if not failure and type(gone) == 'table' then
      redis.pcall('XDEL', lane, added)
      failure = gone
    end
    if failure then break end
    -- Without options a job is not unique.
    if (string.byte(envelope, 2) or 0) % 2 == 1 then
      note_place(envelope, string.byte(body, 1) or 3, added)
    end
    moved = moved + 1
    if failed ~= 0 then retried = retried + 1 end
  end
  -- The time of a promoted job becomes a remnant if it cannot be removed.
  if body or #id <= 16 then redis.pcall('ZREM', KEYS[1], id) else timers[#timers + 1] = id end
end
-- A counter that is not a number starts again: a counting error must not stop the promotion.
if retried > 0 and type(redis.pcall('HINCRBY', KEYS[8], 'retrying', -retried)) == 'table' then
  redis.pcall('HDEL', KEYS[8], 'retrying')
end
if failure then return failure end
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
return {moved, first[2] and math.max(0, first[2]) or -1, now, timers}
