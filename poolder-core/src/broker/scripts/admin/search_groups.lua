-- search_groups.lua: searches the jobs that wait in the groups of a limited queue for a job.
-- KEYS 1 hash: number and group to the waiting job (`limits:jobs`)
-- ARGV 1 job id  2 place from which to search ("0" for the beginning)
--      3 most jobs to examine, at most 500; a few more may be
-- Returns {place from which to continue ("0" at the end), number of jobs that were examined, number
--   and group of each job of the id}; a call stops after 1 MiB
local job, from, seen, bytes, found, looks = ARGV[1], ARGV[2], 0, 0, {}, 0
repeat
  looks = looks + 1
  local page = redis.call('HSCAN', KEYS[1], from, 'COUNT', 16)
  local items = page[2]
  for i = 1, #items, 2 do
    local value, at = items[i + 1], 1
    seen, bytes = seen + 1, bytes + #value
    local form = string.byte(value, 1)
    if (form == 32 or form == 34) and #value > 3 then
      at = 4 + struct.unpack('>I2', value, 2) -- bounded: one number
    end
    if #items[i] >= 5 and string.sub(value, at + 2, at + 17) == job then
      found[#found + 1] = items[i]
    end
  end
  from = page[1]
until from == '0' or seen >= tonumber(ARGV[3]) or bytes > 1048576 or looks == 200
return {from, seen, unpack(found)} -- bounded: about 500 jobs
