-- settle.lua: a part of jobs/settle.lua with the operation of the job of a schedule.
-- KEYS 6-12 as in jobs/settle.lua; the values named runs, running and queued are indices of others:
--   the hashes of the schedules' last runs, running and queued jobs
-- ARGV 1 as in jobs/settle.lua
-- Operations, with their values:
--   "schedule_done" runs, name of the schedule, letter of the end, running, queued: notes how the job
--     has ended. Of a schedule that allows one job at a time, which has the last two values, this
--     was the running one: a queued job of the schedule is added to its lane and becomes the running
--     one, unless it was cancelled

if string.find(ARGV[5], 'schedule', 1, true) then
  -- Notes how a job has ended, if its run is among those that are kept. The runs must not keep a job
  -- from its end.
  local function end_run(runs, name, id, how, node)
    local stored = redis.pcall('HGET', runs, name)
    if type(stored) ~= 'string' or #stored > 8192 then return end
    local hex = string.format(string.rep('%02x', 16), string.byte(id, 1, 16))
    local ended, times = string.gsub(stored, '(' .. hex .. ' %S+ %S+ %S+ %S+) [^\n]*',
      function(run)
        return table.concat({run, how, string.format('%.0f', now()), node}, ' ')
      end, 1)
    if times == 1 then redis.pcall('HSET', runs, name, ended) end
  end

  function ops.schedule_done(runs, name, how, running, queued)
    end_run(KEYS[runs], name, job, how, ARGV[1])
    if not running then return end
    running, queued = KEYS[running], KEYS[queued]
    -- A key of a wrong type must not keep the job from its end.
    local holder = redis.pcall('HGET', running, name)
    if type(holder) ~= 'string' or string.sub(holder, 1, 16) ~= job then return end
    local successor = redis.pcall('HGET', queued, name)
    local lane = type(successor) == 'string' and #successor > 19 and string.byte(successor, 1)
    if lane and redis.call('ZSCORE', KEYS[12], string.sub(successor, 4, 19)) then
      if redis.call('HDEL', queued, name) == 1 then
        add(KEYS[6], 'cancelled', 1)
        end_run(KEYS[runs], name, string.sub(successor, 4, 19), 'x', '-')
      end
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
