-- slot_cast.lua: stores a job for an addressed slot, unless the pool was resized since the producer
--   read its size.
-- KEYS 1 hash of the slot's lease  2 stream of the normal lane
-- ARGV 1 generation of the pool that the producer knows  2 envelope
-- Returns the id of the new entry, or 0 when the slot knows a later generation: nothing was stored
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
return redis.call('XADD', KEYS[2], '*', 'j', ARGV[2])
