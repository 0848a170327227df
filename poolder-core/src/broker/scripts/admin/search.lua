-- search.lua: looks for a job in a lane, among the entries of a time or among the claimed ones.
-- KEYS 1 lane
-- ARGV 1 job id  2 first entry  3 last entry  4 "claimed" or "all"  5 most entries, at most 500
-- Returns {entry id if found, else "", where to go on, "" when the end was reached, how many were
--   looked at}
local job, from, seen, bytes = ARGV[1], ARGV[2], 0, 0
local most = tonumber(ARGV[5])

-- True when it is the one; counts what was read.
local function look(entry)
  local f = entry[2]
  seen = seen + 1
  for _, field in ipairs(f) do bytes = bytes + #field end
  return f[1] == 'j' and string.sub(f[2], 3, 18) == job
end

if ARGV[4] == 'claimed' then
  local held = redis.pcall('XPENDING', KEYS[1], 'workers', from, ARGV[3], most)
  if held.err then return {'', '', 0} end
  for _, p in ipairs(held) do
    local entry = redis.call('XRANGE', KEYS[1], p[1], p[1])[1]
    if entry and look(entry) then return {p[1], '', seen} end
    if bytes > 1048576 then return {'', '(' .. p[1], seen} end
  end
  if #held < most then return {'', '', seen} end
  return {'', '(' .. held[#held][1], seen}
end
while seen < most and bytes <= 1048576 do
  local some = redis.call('XRANGE', KEYS[1], from, ARGV[3], 'COUNT', math.min(16, most - seen))
  if #some == 0 then return {'', '', seen} end
  for _, entry in ipairs(some) do
    if look(entry) then return {entry[1], '', seen} end
    from = '(' .. entry[1]
    if bytes > 1048576 then break end
  end
end
return {'', from, seen}
