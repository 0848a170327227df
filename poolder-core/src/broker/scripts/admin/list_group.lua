-- list_group.lua: reads a page of the jobs that wait in a group of a limited queue, in their order.
-- KEYS 1 hash: number and group to the waiting job (`limits:jobs`)
-- ARGV 1 group
--      2 number at which the page begins  3 number behind the last job
--      4 most jobs of the page, at most 500
--      5 most bytes of the page, at most 1 MiB
--      6 most bytes of a job  7 bytes to return of a larger one
-- Returns {number at which the next page begins, list of {number and group, job or its beginning,
--   bytes of the job}}
-- At most 2,000 numbers are looked at. A page may be empty although there are more jobs, since a
-- number without a job is that of one that has started or was removed.
local from, page, bytes = tonumber(ARGV[2]), {}, 0
local to = math.min(tonumber(ARGV[3]), from + 2000)
while from < to and #page < tonumber(ARGV[4]) do
  local field = struct.pack('>I5c0', from, ARGV[1])
  local value = redis.call('HGET', KEYS[1], field)
  if value then
    local all = #value
    if all > tonumber(ARGV[6]) then value = string.sub(value, 1, ARGV[7]) end
    bytes = bytes + #value
    if page[1] and bytes > tonumber(ARGV[5]) then break end
    page[#page + 1] = {field, value, all}
  end
  from = from + 1
end
return {from, page}
