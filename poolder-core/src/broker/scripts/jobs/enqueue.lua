-- enqueue.lua: stores a job that is due later, an idempotent job, which is stored only once, a job
--   whose id is derived from a name, which begins a new generation of its id, or a unique job, unless
--   another one holds its key. For a unique job `unique/next.lua` and `unique/holder.lua` stand in
--   front.
-- KEYS 1 stream of the job's lane
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 receipt of an idempotent enqueue
--      5-8 only for an id that is derived from a name: sorted set of job ids by time of death in ms
--        (`dead`), hash of job ids to dead records (`dead:bodies`), completion record and progress
--      the last six, only for a unique job: hash of keys to the jobs that hold them (`unique`), and
--        the streams of all lanes: front, suspect, high, normal, low
-- ARGV 1 job id, 16 bytes
--      2 head: one byte for the lane, two for the length of the counters, the counters. With KEYS
--        5-8 their last eight bytes are those of the generation, which is written here
--      3 envelope
--      4 when the job is ready: "now", "in" (after a delay) or "at" (at a time)
--      5 delay or time in ms, unused for "now"
--      6 window in ms within which a repeated enqueue is the same job ("" for a job that is not
--        idempotent)
--      7 control channel
--      8-12 only for a unique job: key, ms for which it holds the key beyond its due time, mode (see
--        unique/holder.lua), what happens to the job that holds the key: "keep", "replace" (its data,
--        if it waits), "renew" (its data and its due time, if it is in `due`) or "last" (its data, if
--        it waits in `due` for its first attempt; else this job waits behind it, or replaces the data
--        of the one that does), and for "renew" the most ms between the time at which it took the key
--        and its due time
-- Returns {"ready", id of the new entry}, {"due", due time in ms}, or {"again", entry id or due
--   time of the job that was stored before}; for a unique job also {"kept" or "replaced", id of the
--   job that holds the key or waits behind it, index of its lane (5 for `due`, 6 when its place is not
--   known), its entry or due time}, or {"next", job id, 6, ""} for a job that waits behind the holder
-- A call that failed can be repeated: it finds the receipt or the waiting job, or nothing was stored.
-- A call that finds the job writes as well: a WAIT on the same connection waits for the last write
-- of this connection, and would wait for nothing after a call that only reads.
local job, head, window, unique = ARGV[1], ARGV[2], ARGV[6], ARGV[8]
local holders = unique and #KEYS - 5 or #KEYS + 1
local named = holders > 5 and KEYS[5]
if window ~= '' then
  local receipt = redis.call('GET', KEYS[4])
  if receipt then
    local left = redis.call('PTTL', KEYS[4])
    redis.call('PEXPIRE', KEYS[4], left > 0 and left or window)
    return {'again', receipt}
  end
end

-- Answers for a job that waits until this time. An earlier call may have failed before it wrote its
-- receipt, or asked for none. A job that is not idempotent gets a receipt for 1 ms, in which the job
-- waits anyway; a longer one stays.
local function found_waiting(due)
  local left = redis.call('PTTL', KEYS[4])
  if window == '' and left > 0 then
    redis.call('PEXPIRE', KEYS[4], left)
  else
    redis.call('SET', KEYS[4], due, 'PX', window == '' and 1 or window)
  end
  return {'again', due}
end

local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = nil
if ARGV[4] == 'in' then due = now + tonumber(ARGV[5]) end
if ARGV[4] == 'at' then due = tonumber(ARGV[5]) end
if due and due <= now then due = nil end

-- Begins a generation of a name. The dead job of the one before is kept under another id, so that
-- the record under the id itself is that of the latest generation. Without the right to read the
-- dead it stays where it is. Returns an error after which nothing was changed, or nil.
local function begin_generation()
  head = string.sub(head, 1, -9) .. struct.pack('>I8', now)
  local died = redis.pcall('ZSCORE', KEYS[5], job)
  local record = died and redis.pcall('HGET', KEYS[6], job)
  if type(record) == 'string' and type(died) == 'string' then
    local other
    for n = 1, 16 do
      other = string.sub(job, 1, 15) .. string.char((string.byte(job, 16) + n) % 256)
      if n == 16 then other = string.sub(redis.sha1hex(job .. died), 1, 16) end
      if not redis.call('ZSCORE', KEYS[5], other) then break end
    end
    local moved = redis.pcall('ZADD', KEYS[5], died, other)
    if type(moved) == 'number' then moved = redis.pcall('HSET', KEYS[6], other, record) end
    if type(moved) == 'number' then moved = redis.pcall('HDEL', KEYS[6], job) end
    if type(moved) == 'table' then
      redis.pcall('HDEL', KEYS[6], other)
      redis.pcall('ZREM', KEYS[5], other)
      return moved
    end
    -- A time without a record is dropped with the oldest dead.
    redis.pcall('ZREM', KEYS[5], job)
  end
end

-- Ends the records of the generation before. PEXPIRE deletes them: producers have no right to DEL. It
-- comes last, since a full server refuses no write after it.
local function end_records_before()
  for i = 7, named and 8 or 0 do redis.pcall('PEXPIRE', KEYS[i], 0) end
end

-- Gives a job that waits in `due` the data of this one. `id` is that under which it waits. Returns
-- whether it is there.
local function replace_data(id, of)
  local body = redis.call('HGET', KEYS[3], id)
  if not body or #body <= 3 then return false end
  local from = 4 + struct.unpack('>I2', string.sub(body, 2, 3)) -- bounded: one number
  if from > #body then return false end
  redis.call('HSET', KEYS[3], id, string.sub(body, 1, from - 1)
    .. string.sub(ARGV[3], 1, 2) .. of .. string.sub(ARGV[3], 19))
  return true
end

-- Stores the job behind the one that holds its key, whose record this is. Returns nil when all ids
-- under which it could wait are taken.
local function store_behind(record)
  local id, n = job, 0
  while redis.call('HEXISTS', KEYS[3], id) == 1 do -- bounded: 16 ids
    n = n + 1
    if n > 15 then return nil end
    id = string.sub(job, 1, 15) .. string.char((string.byte(job, 16) + n) % 256)
  end
  local failure = named and begin_generation()
  if failure then return failure end
  redis.call('HSETNX', KEYS[3], id, head .. ARGV[3])
  local hold = math.min(tonumber(ARGV[9]), behind)
  local stored = redis.pcall('HSET', KEYS[holders], unique, string.sub(record, 1, 40) .. job
    .. struct.pack('>I6I6', hold, now) .. string.char(tonumber(ARGV[10]), n)
    .. struct.pack('>I6', math.min(due or 0, behind)) .. string.rep('\0', 4))
  if type(stored) == 'number' then
    stored = redis.pcall('ZADD', KEYS[2], string.format('%.0f', behind), id)
    if type(stored) == 'table' then redis.pcall('HSET', KEYS[holders], unique, record) end
  end
  if type(stored) == 'table' then
    redis.pcall('HDEL', KEYS[3], id)
    return stored
  end
  end_records_before()
  return {'next', job, 6, ''}
end

-- Returns whether the job that holds the key waits in `due` for its first attempt. Byte 5 of its
-- head is 0 only if no attempt has failed.
local function is_untried(waits, other)
  return waits and string.byte(redis.call('HGET', KEYS[3], other) or '', 5) == 0
end

local ends
if unique then
  ends = math.max(now, ARGV[10] ~= '3' and due or 0) + tonumber(ARGV[9])
  local other, mode, place, entry, since, record =
    holder_of(KEYS[holders], unique, now, KEYS[2], KEYS[3], holders + 1)
  local next = other and next_of(redis.call, record, KEYS[2])
  -- The one that waits behind may be in `due` under the id of the other.
  local waits = place == 5 and not next and redis.call('ZSCORE', KEYS[2], other)
  local repeated = other == job and not named
  local answer
  if next and ARGV[11] ~= 'keep' and replace_data(next, string.sub(record, 41, 56)) then
    answer = {'replaced', string.sub(record, 41, 56), 6, ''}
  elseif other and ARGV[11] == 'last' and (mode == 1 or mode == 5) and not repeated
    and not is_untried(waits, other) then
    answer = store_behind(record) or {'kept', other, 6, ''}
  end
  if answer then
    -- A repetition finds the job behind, and writes the receipt.
    if answer[2] == job and window ~= '' then
      redis.call('SET', KEYS[4], string.format('%.0f', now), 'PX', window)
    end
    return answer
  end
  -- A debounced job that is no longer in `due` is on its way, and the next one takes the key.
  if other and (ARGV[11] ~= 'renew' or waits) then
    local word = 'kept'
    local data = ARGV[11] ~= 'keep' and not repeated
      and string.sub(ARGV[3], 1, 2) .. other .. string.sub(ARGV[3], 19)
    if data and waits then
      if replace_data(other, other) then
        word = 'replaced'
        if ARGV[11] == 'renew' then
          waits = string.format('%.0f', math.min(due or now, since + tonumber(ARGV[12])))
          redis.call('ZADD', KEYS[2], waits, other)
          if redis.call('ZRANK', KEYS[2], other) == 0 then
            redis.pcall('PUBLISH', ARGV[7], 'due')
          end
        end
      end
    elseif data and place < 5 then
      local lane = KEYS[holders + 1 + place]
      local held = redis.pcall('XPENDING', lane, 'workers', entry, entry, 1)
      local found = not held[1] and redis.call('XRANGE', lane, entry, entry)[1]
      found = found and found[2]
      -- Without a consumer group no entry is claimed.
      if held.err and string.sub(held.err, 1, 7) ~= 'NOGROUP' then return held end
      if found and string.sub(found[2] or '', 3, 18) == other then
        found[2] = data
        local added =
          redis.call('XADD', lane, '*', unpack(found, 1, math.min(#found, 6))) -- bounded: 6 values
        local gone = redis.pcall('XDEL', lane, entry)
        if type(gone) == 'table' then
          redis.pcall('XDEL', lane, added)
          return gone
        end
        entry, word = added, 'replaced'
      end
    end
    -- A repetition writes, as above. A job whose data was replaced has another entry.
    if word == 'kept' then
      redis.call('HSET', KEYS[holders], unique, record)
    else
      -- The end of a window stays.
      local until_then = mode == 3 and struct.unpack('>I6', record, 17) -- bounded: one number
      take_key(KEYS[holders], unique, other,
        until_then or math.max(ends, tonumber(waits) or 0), since, mode, place, entry)
    end
    if place == 5 then
      if waits then entry = waits else place = 6 end
    end
    -- An earlier call may have failed before it wrote its receipt.
    if other == job and window ~= '' then redis.call('SET', KEYS[4], entry, 'PX', window) end
    return {word, other, place, entry}
  end
end

if named and (due or window ~= '') and redis.call('HEXISTS', KEYS[3], job) == 1 then
  local waits = redis.call('ZSCORE', KEYS[2], job)
  if waits then return found_waiting(waits) end
end

local failure = named and begin_generation()
if failure then return failure end

local kind, where
if due then
  kind, where = 'due', string.format('%.0f', due)
  -- A job of this id that waits already stays as it is.
  if redis.call('HSETNX', KEYS[3], job, head .. ARGV[3]) == 0 then
    local waits = redis.call('ZSCORE', KEYS[2], job)
    if waits then return found_waiting(waits) end
    -- A body that has no due time is a remnant: no job waits under this id. The new job replaces
    -- it.
    redis.call('HSET', KEYS[3], job, head .. ARGV[3])
  end
  local taken = unique
    and take_key(KEYS[holders], unique, job, ends, now, tonumber(ARGV[10]), 5, '')
  if taken then
    redis.pcall('HDEL', KEYS[3], job)
    return taken
  end
  local waits = redis.pcall('ZADD', KEYS[2], where, job)
  if type(waits) == 'table' then
    if unique then drop_key(KEYS[holders], unique) end
    redis.pcall('HDEL', KEYS[3], job)
    return waits
  end
  if window ~= '' then redis.call('SET', KEYS[4], where, 'PX', window) end
  -- Hints may be lost.
  if redis.call('ZRANK', KEYS[2], job) == 0 then
    redis.pcall('PUBLISH', ARGV[7], 'due')
  end
else
  kind = 'ready'
  if named then
    where = redis.call('XADD', KEYS[1], '*', 'j', ARGV[3], 'c', string.sub(head, 4))
  else
    where = redis.call('XADD', KEYS[1], '*', 'j', ARGV[3])
  end
  local taken = unique and take_key(KEYS[holders], unique, job, ends, now, tonumber(ARGV[10]),
    string.byte(head, 1), where)
  if taken then
    redis.pcall('XDEL', KEYS[1], where)
    return taken
  end
  if window ~= '' then
    local kept = redis.pcall('SET', KEYS[4], where, 'PX', window)
    -- Without a receipt a repeated call would store a second job.
    if kept.err then
      if unique then drop_key(KEYS[holders], unique) end
      redis.pcall('XDEL', KEYS[1], where)
      return kept
    end
  end
end
end_records_before()
return {kind, where}
