-- waiting.lua: a part of the scripts that change jobs which wait, the second one, behind groups.lua:
--   finds a job that waits in a group of a limited queue, and takes it out; and gives the permit back
--   that a job holds in the lane front or suspect, where it waits to run again.
-- KEYS the last seven, for a job in a group or in one of these lanes: hash of the limits of the queue
--   (`limits`), hash: group to its record (`limits:groups`), hash: number and group to the waiting job
--   (`limits:jobs`), list of the turns (`limits:turns`), hash: group to its own limits
--   (`limits:own`), list of tokens (`limits:wake`), sorted set: group by the time in ms at which it
--   may go on (`limits:timers`)
-- Returns nothing: it defines functions
local in_group = {limits = #KEYS - 6, groups = #KEYS - 5, jobs = #KEYS - 4, turns = #KEYS - 3,
  own = #KEYS - 2, wake = #KEYS - 1, timers = #KEYS}

-- Returns true when a job waits under this field. An entry that is no job has no id of its own.
local function waits_in_group(field, job)
  local value = redis.call('HGET', KEYS[in_group.jobs], field)
  if not value then return false end
  local form, from = string.byte(value, 1), 1
  if form == 33 then return true end
  if (form == 32 or form == 34) and #value > 3 then from = 4 + struct.unpack('>I2', value, 2) end -- bounded: one number
  return string.sub(value, from + 2, from + 17) == job
end

-- Takes a waiting job out of its group. Returns 1; 0 when it is not there; or an error, after which
-- nothing was changed. A record that cannot be changed counts a job that is not there: the next
-- claim of the group finds that out.
local function leave_group(field)
  local gone = redis.pcall('HDEL', KEYS[in_group.jobs], field)
  if gone == 1 then
    pcall(change_group, in_group, string.sub(field, 6), function(r) r[3] = r[3] - 1 end)
  end
  return gone
end

-- Gives back the permit that a job held, going by the fields of its entry. The entry is removed, so
-- nothing may fail: a permit that cannot be given back is found by the leader.
local function leave_lane(fields)
  for i = 1, #fields, 2 do
    if fields[i] == 'g' then
      pcall(give_permit_back, in_group, fields[i + 1])
      -- The limit of the queue may have kept others waiting.
      if redis.pcall('EXISTS', KEYS[in_group.turns]) == 1 then wake(in_group) end
    end
  end
end
