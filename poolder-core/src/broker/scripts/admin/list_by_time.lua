-- list_by_time.lua: a page of the jobs that are due later, or dead, by time.
-- KEYS 1 due or dead  2 their bodies
-- ARGV 1 "up" (oldest first) or "down"  2 time in ms from which to go on  3 how many of exactly
--      that time were seen before  4 most jobs, at most 500
-- Returns {job id, time in ms, body} each, at most 1 MiB but at least one if there is any; body is
--   "" for what is no job
local found
if ARGV[1] == 'up' then
  found = redis.call('ZRANGEBYSCORE', KEYS[1], ARGV[2], '+inf', 'WITHSCORES',
    'LIMIT', ARGV[3], ARGV[4])
else
  found = redis.call('ZREVRANGEBYSCORE', KEYS[1], ARGV[2], '-inf', 'WITHSCORES',
    'LIMIT', ARGV[3], ARGV[4])
end
local page, bytes = {}, 0
for i = 1, #found, 2 do
  local body = redis.call('HGET', KEYS[2], found[i]) or ''
  bytes = bytes + #body
  if #page > 0 and bytes > 1048576 then return page end
  page[#page + 1] = {found[i], string.format('%.0f', found[i + 1]), body}
end
return page
