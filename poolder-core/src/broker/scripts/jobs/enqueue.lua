-- enqueue.lua: stores a job that is due later, or an idempotent job, which is stored only once.
-- KEYS 1 stream of the job's lane
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 receipt of an idempotent enqueue
-- ARGV 1 job id, 16 bytes
--      2 head: one byte for the lane, two for the length of the counters, the counters
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
local window = ARGV[6]
if window ~= '' then
  local receipt = redis.call('GET', KEYS[4])
  if receipt then
    local left = redis.call('PTTL', KEYS[4])
    redis.call('PEXPIRE', KEYS[4], left > 0 and left or window)
    return {'again', receipt}
  end
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = nil
if ARGV[4] == 'in' then due = now + tonumber(ARGV[5]) end
if ARGV[4] == 'at' then due = tonumber(ARGV[5]) end
local kind, where
if due and due > now then
  kind, where = 'due', string.format('%.0f', due)
  -- A job of this id that waits already stays as it is.
  if redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[2] .. ARGV[3]) == 0 then
    local waits = redis.call('ZSCORE', KEYS[2], ARGV[1])
    if waits then
      -- An earlier call may have failed before it wrote its receipt.
      if window ~= '' then
        redis.call('SET', KEYS[4], waits, 'PX', window)
      else
        redis.call('HSET', KEYS[3], ARGV[1], redis.call('HGET', KEYS[3], ARGV[1]))
      end
      return {'again', waits}
    end
    -- A body that has no due time is a remnant: no job waits under this id. The new job replaces
    -- it.
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ARGV[3])
  end
  local waits = redis.pcall('ZADD', KEYS[2], where, ARGV[1])
  if type(waits) == 'table' then
    redis.pcall('HDEL', KEYS[3], ARGV[1])
    return waits
  end
  if window ~= '' then redis.call('SET', KEYS[4], where, 'PX', window) end
  -- Hints may be lost.
  if redis.call('ZRANGE', KEYS[2], 0, 0)[1] == ARGV[1] then
    redis.pcall('PUBLISH', ARGV[7], 'due')
  end
else
  kind, where = 'ready', redis.call('XADD', KEYS[1], '*', 'j', ARGV[3])
  if window ~= '' then
    local kept = redis.pcall('SET', KEYS[4], where, 'PX', window)
    -- Without a receipt a repeated call would store a second job.
    if kept.err then
      redis.pcall('XDEL', KEYS[1], where)
      return kept
    end
  end
end
return {kind, where}
