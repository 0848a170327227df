-- ahead.lua: counts the entries of a lane before one of them, a piece at a time.
-- KEYS 1 stream of the lane
-- ARGV 1 first entry id of the piece, "(" before it excludes it
--      2 entry before which the entries are counted
--      3 most entries to count, at most 500
-- Returns {number of entries counted, entry id from which to continue, or "" when the entry was
--   reached}; a call stops after 1 MiB
local from, counted, bytes, most = ARGV[1], 0, 0, tonumber(ARGV[3])
while counted < most and bytes <= 1048576 do
  local want = math.min(16, most - counted)
  local some = redis.call('XRANGE', KEYS[1], from, '(' .. ARGV[2], 'COUNT', want)
  for _, entry in ipairs(some) do
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
  end
  counted = counted + #some
  if #some < want then return {counted, ''} end
  from = '(' .. some[#some][1]
end
return {counted, from}
