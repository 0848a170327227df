-- search.lua: searches a lane for a job, among its claimed entries or among all its entries.
-- KEYS 1 stream of the lane
-- ARGV 1 job id
--      2 first entry id of the search, "(" before it excludes it
--      3 last entry id of the search
--      4 "claimed" or "all"
--      5 most entries to examine, at most 500
-- Returns {entry id if found, else "", entry id from which to continue, or "" at the end, number of
--   entries that were examined}; a call stops after 1 MiB
local job, from, seen, bytes = ARGV[1], ARGV[2], 0, 0
local most = tonumber(ARGV[5])

-- Returns true when the entry holds the job. Counts the entry and its bytes.
local function is_match(entry)
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
    if entry and is_match(entry) then return {p[1], '', seen} end
    if bytes > 1048576 then return {'', '(' .. p[1], seen} end
  end
  if #held < most then return {'', '', seen} end
  return {'', '(' .. held[#held][1], seen}
end
while seen < most and bytes <= 1048576 do
  local some = redis.call('XRANGE', KEYS[1], from, ARGV[3], 'COUNT', math.min(16, most - seen))
  if #some == 0 then return {'', '', seen} end
  for _, entry in ipairs(some) do
    if is_match(entry) then return {entry[1], '', seen} end
    from = '(' .. entry[1]
    if bytes > 1048576 then break end
  end
end
return {'', from, seen}
