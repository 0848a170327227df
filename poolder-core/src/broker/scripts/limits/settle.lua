-- settle.lua: a part of jobs/settle.lua on a limited queue, with the operations of a job that
--   holds a permit of its group.
-- KEYS 16 hash of the limits of the queue (`limits`)
--      17 hash: group to its record (`limits:groups`)
--      18 list of the turns (`limits:turns`)
--      19 hash: group to its own limits (`limits:own`)
--      20 list of tokens for claimers that wait (`limits:wake`)
-- ARGV 5 names "claims" when a claim of the caller follows in the same round trip
-- Operations:
--   "to_lane_held" head, group: adds the job to the lane that the head names, front or suspect; it
--     keeps its permit
--   "leave" group: gives the permit back, once the entry is removed
local k = {limits = 16, groups = 17, turns = 18, own = 19, wake = 20}
local leaving, returned = nil, false

ops.to_lane_held = function(head, group)
  added_to = KEYS[7 + string.byte(head, 1)]
  added = {redis.call('XADD', added_to, '*', 'j', body, 'c', string.sub(head, 4), 'g', group)}
  returned = true
end

ops.leave = function(group) leaving = group end

local function give_back()
  if leaving then give_permit_back(k, leaving) end
  -- A job that came back to its lane must be claimed as well.
  local turns = returned or redis.call('LLEN', KEYS[18]) > 0
  if turns and not string.find(ARGV[5], 'claims', 1, true) then wake(k) end
end

-- The entry is removed, so nothing may fail: a permit that cannot be given back is found by the
-- leader, which counts the jobs that run.
after_removal = function()
  pcall(give_back)
  leaving, returned = nil, false
end
