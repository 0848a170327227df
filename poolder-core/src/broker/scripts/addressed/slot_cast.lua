-- slot_cast.lua: stores a job for a slot, if the producer knows the pool's present size.
-- KEYS 1 lease  2 normal
-- ARGV 1 generation of the size the producer knows  2 envelope
-- Returns the entry's id, or 0 when the pool has another size by now
local known = tonumber(redis.call('HGET', KEYS[1], 'gen') or 0)
if known > tonumber(ARGV[1]) then return 0 end
if known < tonumber(ARGV[1]) then
  -- The first to know of a new generation draws the line between it and what was stored before.
  local edge = '0-0'
  local info = redis.pcall('XINFO', 'STREAM', KEYS[2])
  if not info.err then
    for i = 1, #info, 2 do
      if info[i] == 'last-generated-id' then edge = info[i + 1] end
    end
  end
  redis.call('HSET', KEYS[1], 'gen', ARGV[1], 'edge', edge)
end
return redis.call('XADD', KEYS[2], '*', 'j', ARGV[2])
