-- list_groups.lua: reads a page of the jobs that wait in the groups of a limited queue, in the order
--   of the server.
-- KEYS 1 hash: number and group to the waiting job (`limits:jobs`)
-- ARGV 1 place at which the page begins ("0" for the beginning)
--      2 most jobs of the page, at most 500
--      3 most bytes of the page, at most 1 MiB
--      4 most bytes of a job  5 bytes to return of a larger one
-- Returns {place at which the next page begins, 1 if there may be more jobs, else 0, list of {place
--   behind the job, number and group, job or its beginning, bytes of the job}}
-- A place has a few jobs, and a page has whole places only: where the hash becomes smaller meanwhile,
-- a place has others. So a page may have a few jobs more than were asked for. Of a place that is
-- larger than a page, only the beginnings of the jobs beyond it are returned. A page may be empty
-- although there are more jobs, since a hash that has lost most of its fields has many empty places.
local from, page, bytes, looks = ARGV[1], {}, 0, 0
local most_bytes = tonumber(ARGV[3])
repeat
  looks = looks + 1
  local found = redis.call('HSCAN', KEYS[1], from, 'COUNT', 1)
  local items, size = found[2], 0
  for i = 2, #items, 2 do size = size + math.min(#items[i], tonumber(ARGV[4])) end
  if #page > 0 and bytes + size > most_bytes then return {from, 1, page} end
  for i = 1, #items, 2 do
    -- The field of one zero byte is no job.
    if #items[i] >= 5 then
      local value = items[i + 1]
      local all = #value
      if all > tonumber(ARGV[4]) or bytes > 0 and bytes + all > most_bytes then
        value = string.sub(value, 1, ARGV[5])
      end
      bytes = bytes + #value
      page[#page + 1] = {found[1], items[i], value, all}
    end
  end
  from = found[1]
until from == '0' or #page >= tonumber(ARGV[2]) or looks == 2000
return {from, from == '0' and 0 or 1, page}
