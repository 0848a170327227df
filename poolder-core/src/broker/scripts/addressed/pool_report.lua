-- pool_report.lua: a slot has run what came before the present generation, or is empty for good.
-- KEYS 1 meta  2 drained or retired
-- ARGV 1 generation  2 slot  3 "drained" or "retired"
-- Returns 1 noted, 0 the generation is another one, or the slot is not asked
local m = redis.call('HMGET', KEYS[1], 'generation', 'drain', 'tail', 'size')
if m[1] ~= ARGV[1] then return 0 end
local slot, drain, tail, size = tonumber(ARGV[2]), tonumber(m[2]), tonumber(m[3]), tonumber(m[4])
-- Slots that are new have nothing from before, and say nothing about those that do.
if ARGV[3] == 'drained' and slot >= drain then return 0 end
if ARGV[3] == 'retired' and (slot < size or slot >= tail) then return 0 end
redis.call('SADD', KEYS[2], ARGV[2])
local count = redis.call('SCARD', KEYS[2])
if ARGV[3] == 'drained' and count >= drain then
  redis.call('HSET', KEYS[1], 'drain', 0)
  redis.call('DEL', KEYS[2])
elseif ARGV[3] == 'retired' and count >= tail - size then
  redis.call('HSET', KEYS[1], 'tail', m[4])
  redis.call('DEL', KEYS[2])
end
return 1
