-- slot_cast.lua: stores a job for an addressed slot, unless the pool was resized since the producer
--   read its size. A job that another slot moves here is stored once.
-- KEYS 1 hash of the slot's lease  2 stream of the normal lane
--      3 receipt of the move, only for a job that is moved
-- ARGV 1 generation of the pool that the producer knows  2 envelope
--      3 head of a job that is moved: one byte, two for the length of the counters, the counters
--      4 ms for which the receipt is kept
-- Returns the id of the new entry, or 0 when the slot knows a later generation: nothing was stored.
--   Returns the receipt when the job was moved by an earlier call
local receipt = ARGV[3] and redis.call('GET', KEYS[3])
if receipt then return receipt end
-- PERSIST changes nothing. After it a full server refuses no write: a move adds nothing.
if ARGV[3] then redis.call('PERSIST', KEYS[1]) end
local known = tonumber(redis.call('HGET', KEYS[1], 'gen') or 0)
if known > tonumber(ARGV[1]) then return 0 end
if known < tonumber(ARGV[1]) then
  -- The first call of a new generation records the edge: the last entry id from before it.
  local edge = '0-0'
  if redis.call('EXISTS', KEYS[2]) == 1 then
    local info = redis.call('XINFO', 'STREAM', KEYS[2])
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then edge = info[i + 1] end
    end
  end
  redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'edge', edge)
end
if not ARGV[3] then return redis.call('XADD', KEYS[2], '*', 'j', ARGV[2]) end
local entry = redis.call('XADD', KEYS[2], '*', 'j', ARGV[2], 'c', string.sub(ARGV[3], 4))
local kept = redis.pcall('SET', KEYS[3], entry, 'PX', ARGV[4])
-- Without a receipt a repeated call would store a second job.
if kept.err then
  redis.pcall('XDEL', KEYS[2], entry)
  return kept
end
return entry
