-- enqueue.lua: stores a job that is due later, an idempotent job, which is stored only once, or a
--   job whose id is derived from a name, which begins a new generation of its id.
-- KEYS 1 stream of the job's lane
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 receipt of an idempotent enqueue
--      5-8 only for an id that is derived from a name: sorted set of job ids by time of death in ms
--        (`dead`), hash of job ids to dead records (`dead:bodies`), completion record and progress
-- ARGV 1 job id, 16 bytes
--      2 head: one byte for the lane, two for the length of the counters, the counters. With KEYS
--        5-8 their last eight bytes are those of the generation, which is written here
--      3 envelope
--      4 when the job is ready: "now", "in" (after a delay) or "at" (at a time)
--      5 delay or time in ms, unused for "now"
--      6 window in ms within which a repeated enqueue is the same job ("" for a job that is not
--        idempotent)
--      7 control channel
-- Returns {"ready", id of the new entry}, {"due", due time in ms}, or {"again", entry id or due
--   time of the job that was stored before}
-- A call that failed can be repeated: it finds the receipt or the waiting job, or nothing was stored.
-- A call that finds the job writes as well: a WAIT on the same connection waits for the last write
-- of this connection, and would wait for nothing after a call that only reads.
local job, head, window, named = ARGV[1], ARGV[2], ARGV[6], KEYS[5]
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
if named and (due or window ~= '') and redis.call('HEXISTS', KEYS[3], job) == 1 then
  local waits = redis.call('ZSCORE', KEYS[2], job)
  if waits then return found_waiting(waits) end
end

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
  local waits = redis.pcall('ZADD', KEYS[2], where, job)
  if type(waits) == 'table' then
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
  if window ~= '' then
    local kept = redis.pcall('SET', KEYS[4], where, 'PX', window)
    -- Without a receipt a repeated call would store a second job.
    if kept.err then
      redis.pcall('XDEL', KEYS[1], where)
      return kept
    end
  end
end
-- The records of the generation before go. PEXPIRE deletes them: producers have no right to DEL. It
-- comes last, since a full server refuses no write after it.
for i = 7, named and 8 or 0 do redis.pcall('PEXPIRE', KEYS[i], 0) end
return {kind, where}
