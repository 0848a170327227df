-- move.lua: settles claimed jobs one by one. Each job that the owner still holds leaves its lane
--   and is stored at its destination. The destination is written before the source is removed, so
--   that an error in between loses no job.
-- KEYS 1 stream of the entries' lane
--      2 sorted set: job id by due time in ms (`due`)
--      3 hash: job id to head and envelope of the waiting job (`bodies`)
--      4 sorted set: job id by time of death in ms (`dead`)
--      5 hash: job id to record of the dead job (`dead:bodies`)
--      6 hash of the partition's counters (`stats`)
--      7-11 streams of all lanes: front, suspect, high, normal, low
--      12 sorted set: id of a cancelled job by time of cancellation in ms (`cancelled`)
--      13 hash: batch job id to record of its sealed list (`batch:index`)
--      14 set of batch job ids whose sealed lists are to be removed (`batch:dropped`)
--      15 hash of the slot's lease (`lease`)
--      16.. keys of the effects, in the order of the effects
-- ARGV 1 owner: the consumer that holds the claims
--      2 most dead jobs to keep
--      3 control channel
--      4 term and holder of the slot's lease, separated by a space ("" on a shared queue)
--      5.. at most 50 jobs. Each has: entry id, job id, all text of a plain entry joined by zero
--        bytes ("" for an entry that Poolder wrote), destination ("lane", "due", "dead" or "gone"),
--        delay in ms for "due", head, envelope ("" to move the stored one), dead record up to the
--        head for "dead", name of the counter to raise, number of effects. Then each effect has:
--        name, value, ms
-- Effects, with their keys in parentheses:
--   "result" (record): stores the value for the given ms
--   "completion" (record): stores the value for the given ms, and notifies the waiting callers on
--     the channel that has the record's name
--   "completion_if_cancelled" (record): does the same as "completion", but only when the job ends
--     here because it was cancelled
--   "hold_slot" (lease): blocks claims of the slot for the given ms, while its front waits for a
--     retry; the value is ""
-- Effects of a batch job; ms is 0:
--   "batch_count" (batcher): raises the counter of the batcher that the value names ("" for none)
--   "batch_done" (sealed list, batcher): removes the list; counts its entries as completed if the
--     value is "done"
--   "batch_dead" (sealed list, batcher): stops counting the entries as waiting
--   "batch_keep_rest" (sealed list, batcher, list of remaining entries): replaces the sealed list
--     by the list of remaining entries
--   "batch_bury_part" (list of entries set aside, sealed list for them, batcher): buries the
--     entries as a separate dead job; the value is the id of that job, then its dead record up to
--     the envelope
-- Effect of a job whose schedule allows only one job at a time:
--   "schedule_done" (running jobs, queued jobs): notes that the job has ended by this settlement or
--     by a cancellation; the value is the job id, then the schedule's name; ms is 1 if the
--     settlement ends the job, else 0
-- Returns a string with one digit per job: 1 for moved, 0 for no longer held by the owner
local owner, cap = ARGV[1], tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local lease_held = true
if ARGV[4] ~= '' then
  local l = redis.call('HMGET', KEYS[15], 'holder', 'term')
  lease_held = (l[2] or '') .. ' ' .. (l[1] or '') == ARGV[4]
end

local function held(id, job, plain)
  if not lease_held then return nil end
  local p = redis.call('XPENDING', KEYS[1], 'workers', id, id, 1)[1]
  if not p or p[2] ~= owner then return nil end
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry then return nil end
  local f = entry[2]
  if plain ~= '' then return table.concat(f, '\0') == plain and '' or nil end
  if f[1] == 'j' and string.sub(f[2], 3, 18) == job then return f[2] end
  return nil
end

-- Moves the entries that wait in the front behind `new_entry`, the job that was just put back
-- there: it comes first, since a slot runs its jobs in order.
local function move_behind(id, new_entry)
  for _, entry in ipairs(redis.call('XRANGE', KEYS[7], '-', '+', 'COUNT', 100)) do
    if entry[1] ~= id and entry[1] ~= new_entry then
      redis.call('XADD', KEYS[7], '*', unpack(entry[2])) -- bounded: the fields of an entry
      redis.call('XDEL', KEYS[7], entry[1])
    end
  end
end

-- Raises a counter of the partition. A counter that is not a number starts again: a counting error
-- must not fail a script that has already moved jobs.
local function count(name)
  if type(redis.pcall('HINCRBY', KEYS[6], name, 1)) == 'table' then
    redis.pcall('HSET', KEYS[6], name, 1)
  end
end

local function bury(job, record)
  redis.call('HSET', KEYS[5], job, record)
  redis.call('ZADD', KEYS[4], string.format('%.0f', now), job)
  if redis.call('ZCARD', KEYS[4]) > cap then
    local oldest = redis.call('ZPOPMIN', KEYS[4])[1]
    redis.call('HDEL', KEYS[5], oldest)
    count('dead_dropped')
    if redis.call('HEXISTS', KEYS[13], oldest) == 1 then redis.call('SADD', KEYS[14], oldest) end
  end
end

-- Raises a counter of a batcher, in the same way.
local function add_to(batcher, name, times)
  if type(redis.pcall('HINCRBY', batcher, name, times)) == 'table' then
    redis.pcall('HSET', batcher, name, times)
  end
end

-- Subtracts `gone` entries of a batch from the waiting entries of its batcher. Returns the record
-- in the index, or nil when the entries of this list are not counted.
local function subtract_waiting(job, batcher, gone)
  local known = redis.call('HGET', KEYS[13], job)
  if known and string.sub(known, 1, 1) == '1' then
    redis.call('HINCRBY', batcher, 'waiting', 0 - gone) -- never -0, which Redis 6.2 refuses
    return known
  end
end

-- Notes that the running job of a schedule has ended. A queued job of the schedule is added to its
-- lane and becomes the running one.
local function end_scheduled_job(running, queued, job, name)
  if string.sub(redis.call('HGET', running, name) or '', 1, 16) ~= job then return end
  local next = redis.call('HGET', queued, name)
  if not next then
    redis.call('HDEL', running, name)
    return
  end
  local lane, body = string.byte(next, 1), string.sub(next, 2)
  local entry = redis.call('XADD', KEYS[7 + lane], '*', 'j', body)
  redis.call('HSET', running, name, string.sub(body, 3, 18) .. string.char(lane) .. entry)
  redis.call('HDEL', queued, name)
end

local key_counts = {result = 1, completion = 1, completion_if_cancelled = 1, hold_slot = 1,
  batch_count = 1, batch_done = 2, batch_dead = 2, batch_keep_rest = 3, batch_bury_part = 3,
  schedule_done = 2}
-- Number of entries of the current batch job that "batch_bury_part" has buried.
local buried = 0

local function take_effect(at, key, job, body, was_cancelled)
  local effect = ARGV[at]
  if effect == 'schedule_done' then
    if was_cancelled or ARGV[at + 2] == '1' then
      end_scheduled_job(KEYS[key], KEYS[key + 1], job, string.sub(ARGV[at + 1], 17))
    end
  elseif effect == 'batch_count' then
    local counter = was_cancelled and 'cancelled' or ARGV[at + 1]
    if counter ~= '' then add_to(KEYS[key], counter, 1) end
  elseif (effect == 'completion_if_cancelled') ~= was_cancelled then
    return key + key_counts[effect]
  elseif effect == 'result' or effect == 'completion' or effect == 'completion_if_cancelled' then
    redis.call('SET', KEYS[key], ARGV[at + 1], 'PX', ARGV[at + 2])
    if effect ~= 'result' then redis.call('PUBLISH', KEYS[key], 'end') end
  elseif effect == 'hold_slot' then
    redis.call('HSET', KEYS[key], 'hold', string.format('%.0f', now + ARGV[at + 2]))
  elseif effect == 'batch_done' then
    local gone = redis.call('LLEN', KEYS[key])
    subtract_waiting(job, KEYS[key + 1], gone)
    if ARGV[at + 1] == 'done' then add_to(KEYS[key + 1], 'completed_entries', gone - buried) end
    redis.call('HDEL', KEYS[13], job)
    redis.call('UNLINK', KEYS[key])
  elseif effect == 'batch_dead' then
    local known = subtract_waiting(job, KEYS[key + 1], redis.call('LLEN', KEYS[key]))
    if known then redis.call('HSET', KEYS[13], job, '0' .. string.sub(known, 2)) end
  elseif effect == 'batch_keep_rest' then
    local left = redis.call('LLEN', KEYS[key + 2])
    -- The list of remaining entries is kept for a limited time. Without it the whole batch is tried
    -- again.
    if left > 0 then
      local gone = redis.call('LLEN', KEYS[key]) - left
      subtract_waiting(job, KEYS[key + 1], gone)
      add_to(KEYS[key + 1], 'completed_entries', gone - buried)
      add_to(KEYS[key + 1], 'entries_retried', left)
      redis.call('RENAME', KEYS[key + 2], KEYS[key])
      redis.call('PERSIST', KEYS[key])
    end
  elseif effect == 'batch_bury_part' and redis.call('EXISTS', KEYS[key]) == 1 then
    local dead_job, known = string.sub(ARGV[at + 1], 1, 16), redis.call('HGET', KEYS[13], job)
    redis.call('HSET', KEYS[13], dead_job, '0' .. string.sub(known or '1', 2))
    buried = redis.call('LLEN', KEYS[key])
    add_to(KEYS[key + 2], 'entries_buried', buried)
    redis.call('RENAME', KEYS[key], KEYS[key + 1])
    redis.call('PERSIST', KEYS[key + 1])
    local envelope = string.sub(body, 1, 2) .. dead_job .. string.sub(body, 19)
    bury(dead_job, string.sub(ARGV[at + 1], 17) .. envelope)
    count('buried')
  end
  return key + key_counts[effect]
end

-- Returns 1 for a job with a failed attempt, else 0. Byte 5 of the head, behind the lane, the
-- length and the array header of the counters, is 0 only if no attempt has failed.
local function failed(head) return string.byte(head, 5) ~= 0 and 1 or 0 end

-- True when there are cancellations: a cancelled job is removed instead of moved to a lane or to
-- `due`.
local has_cancellations = redis.call('ZCARD', KEYS[12]) > 0
local moved, first_due_changed = {}, false
local i, key = 5, 16
while i <= #ARGV do
  local effects = tonumber(ARGV[i + 9])
  local id, job, to = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local head, body, counter = ARGV[i + 5], ARGV[i + 6], ARGV[i + 8]
  local stored = held(id, job, ARGV[i + 2])
  if stored then
    local was_cancelled = false
    if has_cancellations and redis.call('ZSCORE', KEYS[12], job) then
      was_cancelled = to == 'due' or to == 'lane'
      if was_cancelled then to, counter = 'gone', 'cancelled' end
      redis.call('ZREM', KEYS[12], job)
    end
    if body == '' then body = stored end
    buried = 0
    if to == 'due' then
      local due = string.format('%.0f', now + tonumber(ARGV[i + 4]))
      -- A job of the same id may wait already, if it was enqueued again while this one ran. Then
      -- both wait, this one under another id of 16 bytes.
      local waiting_id = job
      if redis.call('HEXISTS', KEYS[3], job) == 1 then
        waiting_id = string.sub(redis.sha1hex(job .. id), 1, 16)
      end
      redis.call('HSET', KEYS[3], waiting_id, head .. body)
      redis.call('ZADD', KEYS[2], due, waiting_id)
      if failed(head) ~= 0 then count('retrying') end
      first_due_changed = first_due_changed or redis.call('ZRANGE', KEYS[2], 0, 0)[1] == waiting_id
    elseif to == 'lane' then
      local lane = KEYS[7 + string.byte(head, 1)]
      local new_entry = redis.call('XADD', lane, '*', 'j', body, 'c', string.sub(head, 4))
      if ARGV[4] ~= '' and lane == KEYS[1] then move_behind(id, new_entry) end
    elseif to == 'dead' then
      bury(job, ARGV[i + 7] .. head .. body)
    end
    for at = i + 10, i + 7 + 3 * effects, 3 do
      key = take_effect(at, key, job, body, was_cancelled)
    end
    if was_cancelled and redis.call('HEXISTS', KEYS[13], job) == 1 then
      redis.call('SADD', KEYS[14], job)
    end
    redis.call('XACK', KEYS[1], 'workers', id)
    redis.call('XDEL', KEYS[1], id)
    count(counter)
    moved[#moved + 1] = 1
  else
    for at = i + 10, i + 7 + 3 * effects, 3 do key = key + key_counts[ARGV[at]] end
    moved[#moved + 1] = 0
  end
  i = i + 10 + 3 * effects
end
if first_due_changed then redis.call('PUBLISH', ARGV[3], 'due') end
return table.concat(moved)
