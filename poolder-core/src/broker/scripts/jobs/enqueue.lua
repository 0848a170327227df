-- enqueue.lua: stores a job that waits for its time, or one that must be stored only once.
-- KEYS 1 ready lane  2 due  3 bodies  4 receipt of an idempotent enqueue
-- ARGV 1 job id  2 head  3 envelope  4 "now", "in" or "at"  5 ms (for "in" and "at")
--      6 window in ms in which a repetition is the same job ("" for none)  7 control channel
-- Returns {"ready" | "due" | "again", entry id or due time in ms}
local window = ARGV[6]
if window ~= '' then
  local receipt = redis.call('GET', KEYS[4])
  if receipt then return {'again', receipt} end
end
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)
local due = nil
if ARGV[4] == 'in' then due = now + tonumber(ARGV[5]) end
if ARGV[4] == 'at' then due = tonumber(ARGV[5]) end
local kind, where
if due and due > now then
  kind, where = 'due', string.format('%.0f', due)
  -- The id names the job: one that waits already stays as it is.
  if redis.call('HSETNX', KEYS[3], ARGV[1], ARGV[2] .. ARGV[3]) == 0 then
    local waits = redis.call('ZSCORE', KEYS[2], ARGV[1])
    if waits then return {'again', waits} end
    -- A body that nothing waits for is what was left of a job: it must not stand in for one.
    redis.call('HSET', KEYS[3], ARGV[1], ARGV[2] .. ARGV[3])
  end
  redis.call('ZADD', KEYS[2], where, ARGV[1])
  if redis.call('ZRANGE', KEYS[2], 0, 0)[1] == ARGV[1] then
    redis.call('PUBLISH', ARGV[7], 'due')
  end
else
  kind, where = 'ready', redis.call('XADD', KEYS[1], '*', 'j', ARGV[3])
end
if window ~= '' then redis.call('SET', KEYS[4], where, 'PX', window) end
return {kind, where}
