-- slot_acquire.lua: takes the lease of a slot. It has no end: it belongs to the process, and goes by
--   release, or to a taker who knows that the process is gone.
-- KEYS 1 lease  2 front  3 normal
-- ARGV 1 node  2 a holder known to be gone ("" for none)
-- Returns {1 taken | 0 somebody holds it | -1 the slot was stopped, term, holder}
local l = redis.call('HMGET', KEYS[1], 'holder', 'term', 'until', 'stopped')
local holder, term, till = l[1] or '', tonumber(l[2]) or 0, tonumber(l[3]) or 0
if l[4] then return {-1, term, holder} end
local t = redis.call('TIME')
local held = holder ~= '' and till > t[1] * 1000
if held and holder ~= ARGV[1] and holder ~= ARGV[2] then return {0, term, holder} end
term = term + 1
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'term', string.format('%.0f', term),
  'until', '9999999999999')
for lane = 2, 3 do
  -- It may be there already.
  redis.pcall('XGROUP', 'CREATE', KEYS[lane], 'workers', '0', 'MKSTREAM')
end
return {1, term, ARGV[1]}
