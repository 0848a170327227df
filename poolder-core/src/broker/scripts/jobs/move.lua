-- move.lua: takes claimed jobs out of a lane and puts each where it goes next, one by one, if the
--   claim is still the owner's: the destination is written before the source is removed.
-- KEYS 1 lane of the entries  2 due  3 bodies  4 dead  5 dead bodies  6 stats  7-11 all lanes
--      12 cancelled  13 index of sealed lists  14 sealed lists to be removed  15 lease
--      16.. what the effects touch, in their order
-- ARGV 1 owner  2 most dead jobs kept  3 control channel  4 term and holder of the slot's lease
--      ("" on shared queues); then per job, at most 50 jobs:
--      entry id, job id, text of a plain entry ("" for a packed one), destination ("lane",
--      "due", "dead" or "gone"), delay in ms, head, envelope ("" for the stored one),
--      dead record up to the head, name of the counter, number of effects; then per effect:
--      "result" (one key: value, kept for ms), "completion" (the same, and whoever waits is told) or
--      "completion_if_cancelled" (the same as "completion", but only when the job ends here because it was cancelled),
--      value, ms; "hold_slot" (the lease: for ms nothing is claimed, as the front waits for a retry),
--      "", ms; or of a batch job, 0 for ms:
--      "batch_count" (batcher): the value names a counter of the batcher, "" for none
--      "batch_done" (sealed list, batcher): the entries are gone; completed if the value is "done"
--      "batch_dead" (sealed list, batcher): the entries no longer count as waiting
--      "batch_keep_rest" (sealed list, batcher, what is left): what is left takes the place of all
--      "batch_bury_part" (what is set apart, its own sealed list, batcher): it becomes a dead job of its own;
--        the value is the job's id and its dead record up to the envelope
--      or of a job that a schedule keeps alone, 1 for ms if the job ends, else 0:
--      "schedule_done" (running, queued): the job, id and then the schedule's name, has ended by this or
--        because it was cancelled
-- Returns a string of 1 or 0 per job: moved, or no longer the owner's
local owner, cap = ARGV[1], tonumber(ARGV[2])
local t = redis.call('TIME')
local now = t[1] * 1000 + math.floor(t[2] / 1000)

local ours = true
if ARGV[4] ~= '' then
  local l = redis.call('HMGET', KEYS[15], 'holder', 'term')
  ours = (l[2] or '') .. ' ' .. (l[1] or '') == ARGV[4]
end

local function held(id, job, plain)
  if not ours then return nil end
  local p = redis.call('XPENDING', KEYS[1], 'workers', id, id, 1)[1]
  if not p or p[2] ~= owner then return nil end
  local entry = redis.call('XRANGE', KEYS[1], id, id)[1]
  if not entry then return nil end
  local f = entry[2]
  if plain ~= '' then return table.concat(f, '\0') == plain and '' or nil end
  if f[1] == 'j' and string.sub(f[2], 3, 18) == job then return f[2] end
  return nil
end

-- A slot's front keeps its order: what waits there was behind the job that comes back to it.
local function go_behind(id, back)
  for _, entry in ipairs(redis.call('XRANGE', KEYS[7], '-', '+', 'COUNT', 100)) do
    if entry[1] ~= id and entry[1] ~= back then
      redis.call('XADD', KEYS[7], '*', unpack(entry[2])) -- bounded: the fields of an entry
      redis.call('XDEL', KEYS[7], entry[1])
    end
  end
end

-- A counter that is no number starts again: counting must not fail what is already done.
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

-- The same for a counter of a batcher.
local function tally(batcher, name, times)
  if type(redis.pcall('HINCRBY', batcher, name, times)) == 'table' then
    redis.pcall('HSET', batcher, name, times)
  end
end

-- Lets a batch's entries count as waiting no longer, those that are left apart.
local function uncount(job, batcher, gone)
  local known = redis.call('HGET', KEYS[13], job)
  if known and string.sub(known, 1, 1) == '1' then
    redis.call('HINCRBY', batcher, 'waiting', 0 - gone) -- never -0, which Redis 6.2 refuses
    return known
  end
end

-- The job that a schedule kept alone has ended: the one that waited for it takes its place.
local function over(running, queued, job, name)
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

local takes = {result = 1, completion = 1, completion_if_cancelled = 1, hold_slot = 1,
  batch_count = 1, batch_done = 2, batch_dead = 2, batch_keep_rest = 3, batch_bury_part = 3,
  schedule_done = 2}
-- How many entries of the batch at hand died alone.
local alone = 0

local function take_effect(at, key, job, body, stopped)
  local effect = ARGV[at]
  if effect == 'schedule_done' then
    if stopped or ARGV[at + 2] == '1' then
      over(KEYS[key], KEYS[key + 1], job, string.sub(ARGV[at + 1], 17))
    end
  elseif effect == 'batch_count' then
    local counter = stopped and 'cancelled' or ARGV[at + 1]
    if counter ~= '' then tally(KEYS[key], counter, 1) end
  elseif (effect == 'completion_if_cancelled') ~= stopped then
    return key + takes[effect]
  elseif effect == 'result' or effect == 'completion' or effect == 'completion_if_cancelled' then
    redis.call('SET', KEYS[key], ARGV[at + 1], 'PX', ARGV[at + 2])
    if effect ~= 'result' then redis.call('PUBLISH', KEYS[key], 'end') end
  elseif effect == 'hold_slot' then
    redis.call('HSET', KEYS[key], 'hold', string.format('%.0f', now + ARGV[at + 2]))
  elseif effect == 'batch_done' then
    local gone = redis.call('LLEN', KEYS[key])
    uncount(job, KEYS[key + 1], gone)
    if ARGV[at + 1] == 'done' then tally(KEYS[key + 1], 'completed_entries', gone - alone) end
    redis.call('HDEL', KEYS[13], job)
    redis.call('UNLINK', KEYS[key])
  elseif effect == 'batch_dead' then
    local known = uncount(job, KEYS[key + 1], redis.call('LLEN', KEYS[key]))
    if known then redis.call('HSET', KEYS[13], job, '0' .. string.sub(known, 2)) end
  elseif effect == 'batch_keep_rest' then
    local left = redis.call('LLEN', KEYS[key + 2])
    -- Without a remainder, which is kept for a time only, all is tried again.
    if left > 0 then
      local gone = redis.call('LLEN', KEYS[key]) - left
      uncount(job, KEYS[key + 1], gone)
      tally(KEYS[key + 1], 'completed_entries', gone - alone)
      tally(KEYS[key + 1], 'entries_retried', left)
      redis.call('RENAME', KEYS[key + 2], KEYS[key])
      redis.call('PERSIST', KEYS[key])
    end
  elseif effect == 'batch_bury_part' and redis.call('EXISTS', KEYS[key]) == 1 then
    local apart, known = string.sub(ARGV[at + 1], 1, 16), redis.call('HGET', KEYS[13], job)
    redis.call('HSET', KEYS[13], apart, '0' .. string.sub(known or '1', 2))
    alone = redis.call('LLEN', KEYS[key])
    tally(KEYS[key + 2], 'entries_buried', alone)
    redis.call('RENAME', KEYS[key], KEYS[key + 1])
    redis.call('PERSIST', KEYS[key + 1])
    local envelope = string.sub(body, 1, 2) .. apart .. string.sub(body, 19)
    bury(apart, string.sub(ARGV[at + 1], 17) .. envelope)
    count('buried')
  end
  return key + takes[effect]
end

-- 1 for a job of which an attempt has failed: that is the second number of the counters.
local function failed(head) return string.byte(head, 5) ~= 0 and 1 or 0 end

-- A job that somebody cancelled goes nowhere but away.
local orders = redis.call('ZCARD', KEYS[12]) > 0
local moved, nudge = {}, false
local i, key = 5, 16
while i <= #ARGV do
  local effects = tonumber(ARGV[i + 9])
  local id, job, to = ARGV[i], ARGV[i + 1], ARGV[i + 3]
  local head, body, counter = ARGV[i + 5], ARGV[i + 6], ARGV[i + 8]
  local stored = held(id, job, ARGV[i + 2])
  if stored then
    local stopped = false
    if orders and redis.call('ZSCORE', KEYS[12], job) then
      stopped = to == 'due' or to == 'lane'
      if stopped then to, counter = 'gone', 'cancelled' end
      redis.call('ZREM', KEYS[12], job)
    end
    if body == '' then body = stored end
    alone = 0
    if to == 'due' then
      local due = string.format('%.0f', now + tonumber(ARGV[i + 4]))
      -- A job of the same id may wait there already, enqueued again while this one ran: both wait,
      -- this one under 16 bytes of its own.
      local as = job
      if redis.call('HEXISTS', KEYS[3], job) == 1 then
        as = string.sub(redis.sha1hex(job .. id), 1, 16)
      end
      redis.call('HSET', KEYS[3], as, head .. body)
      redis.call('ZADD', KEYS[2], due, as)
      if failed(head) ~= 0 then count('retrying') end
      nudge = nudge or redis.call('ZRANGE', KEYS[2], 0, 0)[1] == as
    elseif to == 'lane' then
      local lane = KEYS[7 + string.byte(head, 1)]
      local back = redis.call('XADD', lane, '*', 'j', body, 'c', string.sub(head, 4))
      if ARGV[4] ~= '' and lane == KEYS[1] then go_behind(id, back) end
    elseif to == 'dead' then
      bury(job, ARGV[i + 7] .. head .. body)
    end
    for at = i + 10, i + 7 + 3 * effects, 3 do
      key = take_effect(at, key, job, body, stopped)
    end
    if stopped and redis.call('HEXISTS', KEYS[13], job) == 1 then
      redis.call('SADD', KEYS[14], job)
    end
    redis.call('XACK', KEYS[1], 'workers', id)
    redis.call('XDEL', KEYS[1], id)
    count(counter)
    moved[#moved + 1] = 1
  else
    for at = i + 10, i + 7 + 3 * effects, 3 do key = key + takes[ARGV[at]] end
    moved[#moved + 1] = 0
  end
  i = i + 10 + 3 * effects
end
if nudge then redis.call('PUBLISH', ARGV[3], 'due') end
return table.concat(moved)
