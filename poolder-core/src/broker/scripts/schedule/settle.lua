-- settle.lua: a part of jobs/settle.lua with the operation of a job whose schedule allows one job
--   at a time.
-- KEYS 6-12 as in jobs/settle.lua; the values named running and queued are indices of others: the
--   hashes of the schedules' running and queued jobs
-- Operations, with their values:
--   "schedule_done" running, queued, name of the schedule: notes that the running job of the
--     schedule has ended. A queued job of the schedule is added to its lane and becomes the running
--     one, unless it was cancelled

if string.find(ARGV[5], 'schedule', 1, true) then
  function ops.schedule_done(running, queued, name)
    running, queued = KEYS[running], KEYS[queued]
    -- A key of a wrong type must not keep the job from its end.
    local holder = redis.pcall('HGET', running, name)
    if type(holder) ~= 'string' or string.sub(holder, 1, 16) ~= job then return end
    local successor = redis.pcall('HGET', queued, name)
    local lane = type(successor) == 'string' and #successor > 19 and string.byte(successor, 1)
    if lane and redis.call('ZSCORE', KEYS[12], string.sub(successor, 4, 19)) then
      if redis.call('HDEL', queued, name) == 1 then add(KEYS[6], 'cancelled', 1) end
      lane = nil
    end
    if not lane or lane > 4 then
      redis.call('HDEL', running, name)
      return
    end
    local envelope = string.sub(successor, 2)
    local added = redis.pcall('XADD', KEYS[7 + lane], '*', 'j', envelope)
    if type(added) ~= 'string' then return end
    local gone = redis.pcall('HDEL', queued, name)
    local noted = type(gone) == 'number' and redis.pcall('HSET', running, name,
      string.sub(envelope, 3, 18) .. string.char(lane) .. added)
    if type(noted) ~= 'number' then
      -- The job waits on: otherwise it would be started again.
      redis.call('HSET', queued, name, successor)
      redis.call('XDEL', KEYS[7 + lane], added)
      error('the running job of the schedule cannot be noted')
    end
  end
end
