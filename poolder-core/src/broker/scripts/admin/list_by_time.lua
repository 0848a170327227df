-- list_by_time.lua: reads a page of the jobs that are due later, of the dead or of the finished
--   jobs, by time.
-- KEYS 1 sorted set: job id by time in ms (`due`, `dead` or `finished`)
--      2 hash: job id to body (`bodies`, `dead:bodies` or `finished:bodies`)
-- ARGV 1 "up" for the oldest first, or "down"
--      2 time in ms at which the page begins, "(" before it excludes it
--      3 number of members of exactly that time that earlier pages have returned
--      4 most jobs of the page, at most 500
--      5 most bytes of the page, at most 1 MiB
--      6 most bytes of a body  7 bytes to return of a larger one
-- Returns {1 if there may be more jobs, else 0, list of {job id, time in ms, body or its beginning,
--   bytes of the body}}; the list has at most so many bytes but at least one job if there is any. The
--   body is "" for a member that is not a job
-- The place of the first job is counted: a range by time would walk over all members of that time
-- that are left out, and a million jobs may be due at one moment.
local up, first = ARGV[1] == 'up', tonumber(ARGV[3])
if ARGV[2] ~= '-inf' and ARGV[2] ~= '+inf' then
  local before = string.match(ARGV[2], '^%((.*)$') or '(' .. ARGV[2]
  first = first + (up and redis.call('ZCOUNT', KEYS[1], '-inf', before)
    or redis.call('ZCOUNT', KEYS[1], before, '+inf'))
end
local last = first + tonumber(ARGV[4]) - 1
local found
if up then
  found = redis.call('ZRANGE', KEYS[1], first, last, 'WITHSCORES')
else
  found = redis.call('ZRANGE', KEYS[1], first, last, 'REV', 'WITHSCORES')
end
-- A time that is no whole number is rounded so that the next page does not leave it out.
local round = up and math.floor or math.ceil
local page, bytes = {}, 0
for i = 1, #found, 2 do
  local body = redis.call('HGET', KEYS[2], found[i]) or ''
  local size = #body
  if size > tonumber(ARGV[6]) then body = string.sub(body, 1, ARGV[7]) end
  bytes = bytes + size
  if #page > 0 and bytes > tonumber(ARGV[5]) then return {1, page} end
  page[#page + 1] = {found[i], string.format('%.0f', round(tonumber(found[i + 1]))), body, size}
end
return {#page == tonumber(ARGV[4]) and 1 or 0, page}
