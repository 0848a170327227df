-- list_running.lua: reads a page of the jobs that were claimed from a lane and are not settled.
-- KEYS 1 stream of the lane
-- ARGV 1 last entry of the page before ("" for the first page)
--      2 most jobs of the page, at most 500
--      3 most bytes of the page, at most 1 MiB  4 most bytes of an entry
-- Returns {1 if there may be more entries, else 0, last entry that was examined ("" for none), list
--   of {entry id, consumer, ms since the claim, fields}}; the list has at most so many bytes but at
--   least one job if there is any. A larger entry has the fields of list_ready.lua. Entries that were
--   deleted meanwhile are left out
local from = ARGV[1] ~= '' and '(' .. ARGV[1] or '-'
local held = redis.pcall('XPENDING', KEYS[1], 'workers', from, '+', ARGV[2])
if held.err then return {0, '', {}} end
local more = #held == tonumber(ARGV[2]) and 1 or 0
local last, page, bytes = '', {}, 0
for _, p in ipairs(held) do
  local entry = redis.call('XRANGE', KEYS[1], p[1], p[1])[1]
  if entry then
    local fields, size = entry[2], 0
    for _, field in ipairs(fields) do size = size + #field end
    bytes = bytes + size
    if #page > 0 and bytes > tonumber(ARGV[3]) then
      more = 1
      break
    end
    if size > tonumber(ARGV[4]) then
      local job = fields[1] == 'j' and string.sub(fields[2], 3, 18) or ''
      fields = {'unread', size, 'job', job}
    end
    page[#page + 1] = {p[1], p[2], p[3], fields}
  end
  last = p[1]
end
return {more, last, page}
