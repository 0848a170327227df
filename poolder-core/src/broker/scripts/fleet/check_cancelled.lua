-- check_cancelled.lua: which of these jobs were cancelled. An order that is older than the enqueue of a job
--   of the same id was not meant for it, and goes.
-- KEYS 1 cancelled
-- ARGV per job, at most 500 jobs: job id, ms of its enqueue if it never moved since ("" if it did)
-- Returns a string of 1 or 0 per job: cancelled or not
local each = {}
for i = 1, #ARGV, 2 do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  if at and ARGV[i + 1] ~= '' and tonumber(ARGV[i + 1]) > tonumber(at) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    at = false
  end
  each[#each + 1] = at and 1 or 0
end
return table.concat(each)
