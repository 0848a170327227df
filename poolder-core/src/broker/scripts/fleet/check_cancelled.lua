-- check_cancelled.lua: tells which of the given jobs are cancelled. A cancellation means the jobs of
--   its id that were enqueued before it: one that is older than a job was meant for earlier ones.
-- KEYS 1 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
-- ARGV for each job, at most 500 jobs: job id, time of its enqueue in ms ("" when it is not known)
-- Returns a string with one digit per job: 1 for cancelled, 0 for not cancelled
local each = {}
for i = 1, #ARGV, 2 do
  local at = redis.call('ZSCORE', KEYS[1], ARGV[i])
  local later = at and ARGV[i + 1] ~= '' and tonumber(ARGV[i + 1]) > tonumber(at)
  each[#each + 1] = at and not later and 1 or 0
end
return table.concat(each)
