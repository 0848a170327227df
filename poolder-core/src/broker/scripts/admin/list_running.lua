-- list_running.lua: reads a page of the jobs that were claimed from a lane and are not settled.
-- KEYS 1 stream of the lane
-- ARGV 1 last entry of the page before ("" for the first page)
--      2 most jobs of the page, at most 500
-- Returns {last entry that was examined ("" for none), list of {entry id, consumer, ms since the
--   claim, fields}}; the list has at most 1 MiB but at least one job if there is any. Entries that
--   were deleted meanwhile are left out
local from = ARGV[1] ~= '' and '(' .. ARGV[1] or '-'
local held = redis.pcall('XPENDING', KEYS[1], 'workers', from, '+', ARGV[2])
if held.err then return {'', {}} end
local last, page, bytes = '', {}, 0
for _, p in ipairs(held) do
  local entry = redis.call('XRANGE', KEYS[1], p[1], p[1])[1]
  if entry then
    for _, field in ipairs(entry[2]) do bytes = bytes + #field end
    if #page > 0 and bytes > 1048576 then break end
    page[#page + 1] = {p[1], p[2], p[3], entry[2]}
  end
  last = p[1]
end
return {last, page}
