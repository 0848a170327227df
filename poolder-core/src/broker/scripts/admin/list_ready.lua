-- list_ready.lua: reads a page of the jobs that wait in a lane, in the order in which they start.
-- KEYS 1 stream of the lane
-- ARGV 1 last entry of the page before ("" for the first page)
--      2 most jobs of the page, at most 500
--      3 most bytes of the page, at most 1 MiB  4 most bytes of an entry
-- Returns {1 if there may be more entries, else 0, stream entries}; the entries have at most so many
--   bytes but at least one is returned if there is any. A larger entry has the fields "unread", with
--   its bytes, and "job", with its job id ("" for a plain entry)
local function numbers(id)
  local ms, seq = string.match(id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(seq)
end
local after = ARGV[1] ~= '' and ARGV[1] or '0-0'
local groups = redis.pcall('XINFO', 'GROUPS', KEYS[1])
if not groups.err then
  for _, g in ipairs(groups) do
    local info = {}
    for k = 1, #g, 2 do info[g[k]] = g[k + 1] end
    if info.name == 'workers' then
      local a, b = numbers(info['last-delivered-id'])
      local c, d = numbers(after)
      if a > c or (a == c and b > d) then after = info['last-delivered-id'] end
    end
  end
end
local page, bytes, most = {}, 0, tonumber(ARGV[2])
while #page < most do
  local some = redis.call('XRANGE', KEYS[1], '(' .. after, '+', 'COUNT', math.min(8, most - #page))
  if #some == 0 then return {0, page} end
  for _, entry in ipairs(some) do
    local fields, size = entry[2], 0
    for _, field in ipairs(fields) do size = size + #field end
    bytes = bytes + size
    if #page > 0 and bytes > tonumber(ARGV[3]) then return {1, page} end
    if size > tonumber(ARGV[4]) then
      local job = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
      entry[2] = {'unread', size, 'job', job}
    end
    page[#page + 1] = entry
    after = entry[1]
  end
end
return {1, page}
