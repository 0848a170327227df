-- slot_acquire.lua: takes the lease of an addressed slot. The lease does not expire: it ends when
--   its holder releases it, or when another node takes it that knows that the holder is dead. A
--   stopped slot is not taken, and released if the node holds it.
-- KEYS 1 hash of the slot's lease  2 stream of the front lane  3 stream of the normal lane
-- ARGV 1 node that takes the lease  2 holder known to be dead ("" for none)
-- Returns {1 taken | 0 another node holds the lease | -1 the slot is stopped, term, holder}
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'until', 'stopped')
local holder, term, till = l[1] or '', tonumber(l[2]) or 0, tonumber(l[3]) or 0
if l[4] then
  -- The node may have taken the slot by a call whose reply was lost, before the slot was stopped.
  if holder == ARGV[1] then redis.call('HSET', KEYS[1], 'holder', '', 'until', '0') end
  return {-1, term, holder}
end
local t = redis.call('TIME')
local held = holder ~= '' and till > t[1] * 1000
if held and holder ~= ARGV[1] and holder ~= ARGV[2] then return {0, term, holder} end
term = term + 1
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'term', string.format('%.0f', term),
  'until', '9999999999999', 'lost', '0')
for lane = 2, 3 do
  -- The group may exist already: then the error is ignored.
  redis.pcall('XGROUP', 'CREATE', KEYS[lane], 'workers', '0', 'MKSTREAM')
end
return {1, term, ARGV[1]}
