-- tick.lua: publishes ticks of schedules. Revision and last tick of a schedule must be those for
--   which the ticks were planned. So each tick is published once, even by several leaders, and no
--   tick is published for a schedule that was changed meanwhile. `unique/holder.lua` and
--   `limits/groups.lua` stand in front.
-- KEYS 1 hash: name to state of a schedule  2 sorted set: name by time of the next tick
--      3 hash: name to running job  4 hash: name to queued job
--      5 sorted set: job id by due time in ms (`due`)
--      6-10 streams of all lanes: front, suspect, high, normal, low
--      11-12 hash of keys to the unique jobs that hold them (`unique`), and hash of job ids to waiting
--        jobs (`bodies`)
--      13 hash: name to last runs
--      14-15 hash of groups to their records (`limits:groups`), and hash of numbers and groups to
--        waiting jobs (`limits:jobs`)
-- ARGV 1 node that publishes
--      2.. for each schedule, with at most 500 jobs or 1 MiB in all: name, revision, last decided tick
--      in ms, new last decided tick in ms, time of the next tick in ms ("" for none), number of
--      missed ticks, overlap, index of the lane, key of unique jobs ("" for others), ms for which
--      each holds the key, their mode, group, number of jobs; then the envelope and the tick in ms of each
--      job. Overlap is "allow", "skip" or "queue": the fate of a job while an earlier one of the
--      schedule is under way. A unique job whose key another one holds is missed
-- Returns {now in ms, then for each schedule: number of jobs that were enqueued or queued, or -1
--   when the schedule has changed; then for each schedule whose running job was not found in the
--   entries that this call may search: its name, and the id of the job}
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local t = redis.call('TIME')
local now = string.format('%.0f', t[1] * 1000 + math.floor(t[2] / 1000))
-- The entries and the bytes of entries that this call may still search: an entry contains its
-- payload.
local entries_left, bytes_left = 500, 1048576
local unfound = {}

-- Returns true when the running job of a schedule still exists. Its settlement removes it from the
-- hash of running jobs, but an operator may have deleted it. If the lanes have more entries than
-- this call may still search, the job counts as existing, and the caller looks for it.
local function under_way(name, group)
  local holder = redis.call('HGET', KEYS[3], name)
  if not holder then return false end
  local job, lane = string.sub(holder, 1, 16), string.byte(holder, 17)
  local id = string.sub(holder, 18)
  local entry = redis.call('XRANGE', KEYS[6 + lane], id, id)[1]
  if entry and string.sub(entry[2][2] or '', 3, 18) == job then return true end
  -- The job may wait under another id, if one of its id waited already.
  for n = 0, 15 do
    local id = string.sub(job, 1, 15) .. string.char((string.byte(job, 16) + n) % 256)
    if redis.call('ZSCORE', KEYS[5], id) then return true end
  end
  -- On a limited queue it may wait in its group.
  local head, tail = read_group(redis.call('HGET', KEYS[14], group))
  for number = head, tail - 1 do -- bounded: 500 jobs
    if entries_left <= 0 or bytes_left <= 0 then return true end
    local value = redis.call('HGET', KEYS[15], field_of(number, group)) or ''
    local at = 1
    local form = string.byte(value, 1)
    if (form == 32 or form == 34) and #value > 3 then
      at = 4 + number_in('>I2', value, 2)
    end
    if string.sub(value, at + 2, at + 17) == job then return true end
    entries_left, bytes_left = entries_left - 1, bytes_left - #value
  end
  for at = 6, 10 do
    local from, step = '-', 1
    while true do -- bounded: 500 entries
      local some = redis.call('XRANGE', KEYS[at], from, '+', 'COUNT', step)
      if #some == 0 then break end
      local before = bytes_left
      for _, found in ipairs(some) do
        if string.sub(found[2][2] or '', 3, 18) == job then
          redis.call('HSET', KEYS[3], name, job .. string.char(at - 6) .. found[1])
          return true
        end
        for _, field in ipairs(found[2]) do bytes_left = bytes_left - #field end
        from = '(' .. found[1]
      end
      entries_left = entries_left - #some
      if entries_left <= 0 or bytes_left <= 0 then
        if unfound[#unfound - 1] ~= name then
          unfound[#unfound + 1] = name
          unfound[#unfound + 1] = job
        end
        return true
      end
      -- Small entries are read several at a time.
      step = before - bytes_left < 65536 and math.min(step * 2, 16) or 1
    end
  end
  redis.call('HDEL', KEYS[3], name)
  return false
end

-- The commands that take back the ticks of the current schedule, the latest last. Otherwise the
-- repeated call would publish them again.
local undo = {}

local function keep_queued(name, before)
  undo[#undo + 1] = before and {'HSET', KEYS[4], name, before} or {'HDEL', KEYS[4], name}
end

local function start(name, lane, body, exclusive, key, held, mode)
  local entry = redis.call('XADD', KEYS[6 + lane], '*', 'j', body)
  undo[#undo + 1] = {'XDEL', KEYS[6 + lane], entry}
  if key ~= '' then
    local ends = tonumber(now) + tonumber(held)
    local failure = take_key(KEYS[11], key, string.sub(body, 3, 18), ends, tonumber(now),
      tonumber(mode), lane, entry)
    if failure then error(failure.err) end
    undo[#undo + 1] = {'HDEL', KEYS[11], key}
  end
  if exclusive then
    redis.call('HSET', KEYS[3], name, string.sub(body, 3, 18) .. string.char(lane) .. entry)
  end
end

local function id_of(body)
  return string.format(string.rep('%02x', 16), string.byte(body, 3, 18))
end

-- Returns the last runs of a schedule, a line each: job id, tick, time of the publication, node,
-- number of later ticks without a job, and "-" until the job has ended. Runs that cannot be read are
-- left as they are: they must not keep a schedule from its ticks.
local function history_of(name)
  local stored, history = redis.pcall('HGET', KEYS[13], name), {}
  if type(stored) == 'table' then history.unreadable = true end
  if type(stored) == 'string' and #stored <= 8192 then
    for run in string.gmatch(stored, '[^\n]+') do history[#history + 1] = run end
  end
  return history
end

local function note_run(history, id, tick)
  history[#history + 1] = table.concat({id, tick, now, ARGV[1], 0, '-'}, ' ')
  if #history > 10 then table.remove(history, 1) end
  history.changed = true
end

-- Notes that no job came of so many ticks after the latest run.
local function note_missed(history, ticks)
  if #history == 0 or ticks == 0 then return end
  history[#history] = string.gsub(history[#history], '^(%S+ %S+ %S+ %S+ )(%d+)',
    function(run, missed) return run .. string.format('%.0f', missed + ticks) end)
  history.changed = true
end

-- Notes that the job of a run, given by its stored form, will not run.
local function note_replaced(history, waits)
  local id = id_of(string.sub(waits, 2))
  for n, run in ipairs(history) do
    if string.sub(run, 1, 32) == id then
      history[n] = string.gsub(run, ' %-$', ' r ' .. now .. ' -')
    end
  end
end

-- Publishes the ticks of the schedule at ARGV[i]. Returns the number of jobs, or -1.
local function publish(i)
  local name, last, overlap = ARGV[i], ARGV[i + 3], ARGV[i + 6]
  local lane, jobs = tonumber(ARGV[i + 7]), tonumber(ARGV[i + 12])
  local key, held, mode = ARGV[i + 8], ARGV[i + 9], ARGV[i + 10]
  local state = redis.call('HGET', KEYS[1], name) or ''
  local revision, before, runs, missed, ran, job =
    string.match(state, '^(%d+) (%-?%d+) (%d+) (%d+) (%d+) (%S+)$')
  if revision ~= ARGV[i + 1] or before ~= ARGV[i + 2] then return -1 end
  local history = history_of(name)
  note_missed(history, tonumber(ARGV[i + 5]))
  missed = missed + ARGV[i + 5]
  local enqueued = 0
  for at = i + 13, i + 11 + 2 * jobs, 2 do
    local body, tick = ARGV[at], ARGV[at + 1]
    local exclusive = overlap ~= 'allow'
    if key ~= '' and holder_of(KEYS[11], key, tonumber(now), KEYS[5], KEYS[12], 6) then
      missed = missed + 1
      note_missed(history, 1)
    elseif exclusive and under_way(name, ARGV[i + 11]) then
      if overlap == 'queue' then
        -- The newest job waits; a job that waited before is dropped.
        local waits = redis.call('HGET', KEYS[4], name)
        keep_queued(name, waits)
        redis.call('HSET', KEYS[4], name, string.char(lane) .. body)
        if waits then
          missed = missed + 1
          note_replaced(history, waits)
        else
          enqueued = enqueued + 1
        end
        job = id_of(body)
        note_run(history, job, tick)
      else
        missed = missed + 1
        note_missed(history, 1)
      end
    else
      -- The end of the earlier job was not reported here, so its queued successor starts first.
      local waiting = exclusive and redis.call('HGET', KEYS[4], name)
      if waiting then
        start(name, string.byte(waiting, 1), string.sub(waiting, 2), true, '')
        keep_queued(name, waiting)
        redis.call('HSET', KEYS[4], name, string.char(lane) .. body)
      else
        start(name, lane, body, exclusive, key, held, mode)
      end
      enqueued = enqueued + 1
      job = id_of(body)
      note_run(history, job, tick)
    end
  end
  if enqueued > 0 then ran = now end
  redis.call('HSET', KEYS[1], name, table.concat({revision, last,
    string.format('%.0f', runs + enqueued), string.format('%.0f', missed), ran, job}, ' '))
  -- A schedule whose next time cannot be set stays due: the next call sets it.
  if ARGV[i + 4] == '' then
    redis.pcall('ZREM', KEYS[2], name)
  else
    redis.pcall('ZADD', KEYS[2], ARGV[i + 4], name)
  end
  if history.changed and not history.unreadable then
    redis.pcall('HSET', KEYS[13], name, table.concat(history, '\n'))
  end
  return enqueued
end

local reply = {now}
local i = 2
while i <= #ARGV do
  undo = {}
  local done, published = pcall(publish, i)
  if not done then
    for at = #undo, 1, -1 do redis.pcall(unpack(undo[at])) end -- bounded: four values each
    error(published, 0)
  end
  reply[#reply + 1] = published
  i = i + 13 + 2 * tonumber(ARGV[i + 12])
end
for _, value in ipairs(unfound) do reply[#reply + 1] = value end
return reply
