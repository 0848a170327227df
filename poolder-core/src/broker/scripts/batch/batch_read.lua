-- batch_read.lua: reads entries of a list, as many as fit into a reply.
-- KEYS 1 list
-- ARGV 1 index of the first entry  2 index of the last entry, at most 499 behind the first
--      3 most bytes of the entries, at most 1 MiB
--      4 "1" to read from the last entry to the first
-- Returns entries in the order in which they are read, at least one if there is any
local first, last, left = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local reply, step, backwards = {}, 1, ARGV[4] == '1'
while first <= last do -- bounded: 500 entries
  local some, before = nil, left
  if backwards then
    some = redis.call('LRANGE', KEYS[1], math.max(first, last - step + 1), last)
    last = last - step
  else
    some = redis.call('LRANGE', KEYS[1], first, math.min(last, first + step - 1))
    first = first + step
  end
  if #some == 0 then return reply end
  for i = 1, #some do
    local entry = some[backwards and #some + 1 - i or i]
    left = left - #entry
    if left < 0 and #reply > 0 then return reply end
    reply[#reply + 1] = entry
  end
  -- Small entries are read many at a time.
  step = before - left < 65536 and math.min(step * 4, 64) or 1
end
return reply
