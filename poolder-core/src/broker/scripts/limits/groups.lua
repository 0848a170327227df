-- groups.lua: a part of every script that changes a group of a limited queue, the first one. A group
--   has a record while one of its jobs waits or runs, its bucket of tokens is not full, or it is held.
--   The record says where the group belongs, so that a group which may not start a job is in no list
--   that a claim looks at.
-- KEYS of its functions are given by k: the positions of `limits`, `groups`, `turns`, `own`, `wake`,
--   `timers`
-- Returns nothing: it defines functions
-- Record, 26 bytes: number of the next job, number after the last one, jobs that wait, jobs that run,
--   ticket, state, jobs that are left of its turn; 13 more while one of them is not 0: when its bucket
--   is full again in µs, until when it is held in ms. A record of another length counts as absent.
-- States: EMPTY (no job waits), TURN (the group stands in the list of turns under its ticket; an
--   entry with any other ticket is void), FULL (as many of its jobs run as its limit allows), LATER
--   (it may start a job at the time under which it stands in the timers), PAUSED (an operator has
--   paused it)
local EMPTY, TURN, FULL, LATER, PAUSED = 0, 1, 2, 3, 4
local FORM, LONG, FIRST = '>I5I5I4I4I6BB', '>I5I5I4I4I6BBI7I6', 1000000000
-- The longest time for which a group or a queue is held, in µs.
local LONGEST_HOLD = 86400000000
local number_in, pack_in, sub, call = struct.unpack, struct.pack, string.sub, redis.call

local server_time
-- Returns the server's clock in µs, which stands still during the call.
local function micros()
  if not server_time then
    local t = redis.call('TIME')
    server_time = t[1] * 1000000 + t[2]
  end
  return server_time
end

local function read_group(record)
  local size = record and #record
  if size == 39 then return number_in(LONG, record) end
  if size ~= 26 then return FIRST, FIRST, 0, 0, 0, EMPTY, 0, 0, 0 end
  local head, tail, waiting, running, ticket, state, credit = number_in(FORM, record)
  return head, tail, waiting, running, ticket, state, credit, 0, 0
end

local function pack_group(head, tail, waiting, running, ticket, state, credit, full_at, held)
  if full_at == 0 and held == 0 then
    return pack_in(FORM, head, tail, waiting, running, ticket, state, credit)
  end
  return pack_in(LONG, head, tail, waiting, running, ticket, state, credit, full_at, held)
end

-- Returns the field of a waiting job, and the entry of a group in the list of turns.
local function field_of(number, group) return pack_in('>I5c0', number, group) end
local function turn_of(ticket, group) return pack_in('>I6c0', ticket, group) end

-- Returns a rate from its text: the time of a unit in µs, the units of a full bucket, the window in
-- µs, and more that only readers of limits need. nil for a text that is no rate.
local function rate_of(text)
  local step, burst, window = string.match(text or '', '^(%d+),(%d+),(%d+)')
  step, burst, window = tonumber(step), tonumber(burst), tonumber(window)
  if not step or step < 1 or burst < 1 or step * burst + window > 1e14 then return nil end
  return {step = step, burst = burst, full = step * burst, window = window}
end

-- Returns how many jobs of a group may run at a time (0 for any number), how many it starts in a
-- turn, and its rate. Own limits of a group are two numbers, and a rate with its name in front; what
-- is "-" or absent is the default of the queue. Those of a paused group have a "p" and the time of
-- the pause in front: fewer than 0 of its jobs may run.
local function limits_of(own, each, rate)
  if not own then return each, 1, rate end
  local paused = string.byte(own) == 112
  if paused then own = string.match(own, '^p%d+ (.*)$') or '' end
  local limit, weight = string.match(own, '^(%S+) (%S+)')
  weight = math.floor(tonumber(weight) or 1)
  return paused and -1 or tonumber(limit) or each, math.max(1, math.min(weight, 100)),
    rate_of(string.match(own, ' rate=(%S+)')) or rate
end

-- Returns the times of a record as they count: 0 for one that is past, and for one that was written
-- by a clock which has gone back since. A bucket is not emptier than empty, but for what jobs have
-- cost beyond their tokens, at most the units of a window.
local function times_of(full_at, held, rate)
  if full_at == 0 and held == 0 then return 0, 0 end
  local now = micros()
  if not rate or full_at <= now then full_at = 0
  elseif full_at > now + rate.full + rate.window then full_at = now + rate.full end
  if held * 1000 <= now or held * 1000 > now + LONGEST_HOLD then held = 0 end
  return full_at, held
end

-- Returns how many units a bucket has.
local function units_in(rate, full_at)
  if full_at == 0 then return rate.burst end
  return math.max(0, math.floor((micros() + rate.full - full_at) / rate.step))
end

-- Returns the time at which a bucket has so many units, in µs.
local function time_of_units(rate, full_at, units)
  return full_at - (rate.burst - units) * rate.step
end

-- Returns where a group belongs, by its times as they count, and the time of LATER in ms. `cost` is
-- that of its next job, if it is known.
local function state_of(waiting, running, limit, rate, full_at, held, cost)
  if waiting == 0 then return EMPTY end
  if limit < 0 then return PAUSED end
  if limit > 0 and running >= limit then return FULL end
  local at = held * 1000
  if full_at > 0 then at = math.max(at, time_of_units(rate, full_at, cost or 1)) end
  if at > 0 and at > micros() then return LATER, math.ceil(at / 1000) end
  return TURN
end

-- Returns until when the record of a group is kept of which no job waits or runs, in ms; nil when it
-- has nothing to remember.
local function kept_until(full_at, held)
  if full_at > 0 or held > 0 then return math.max(math.ceil(full_at / 1000), held) end
end

-- Tells the leader, which sleeps until a group or the queue may go on, of an earlier time. Hints may
-- be lost.
local function tell_leader(k)
  redis.pcall('PUBLISH', string.sub(KEYS[k.limits], 1, -7) .. 'control', 'due')
end

-- Notes when groups may go on: a list of times in ms and groups, by turns.
local function add_timers(k, later)
  if not later[1] then return end
  redis.call('ZADD', KEYS[k.timers], unpack(later)) -- bounded: 500 groups
  local first = redis.pcall('ZRANGE', KEYS[k.timers], 0, 0)[1]
  for i = 2, #later, 2 do
    if later[i] == first then return tell_leader(k) end
  end
end

-- Wakes one of the claimers that wait, if there is one. Nothing depends on it: claimers wait 5 s at
-- most.
local function wake(k)
  if redis.pcall('HDEL', KEYS[k.limits], 'idle') == 1 then
    redis.pcall('RPUSH', KEYS[k.wake], '1')
  end
end

-- Changes a group, and puts it where it belongs then. change(r, rate) alters the fields of its record:
-- 1 number of the next job, 2 number after the last one, 3 jobs that wait, 4 jobs that run, 6 state, 8
-- when its bucket is full again in µs, 9 until when it is held in ms.
-- Returns true when the group stands in the list of turns anew.
local function change_group(k, group, change)
  local f = redis.call('HMGET', KEYS[k.limits], 'each', 'own', 'each_rate')
  local own = f[2] and redis.call('HGET', KEYS[k.own], group)
  local limit, weight, rate = limits_of(own, tonumber(f[1]) or 0, rate_of(f[3]))
  local r = {read_group(redis.call('HGET', KEYS[k.groups], group))}
  r[8], r[9] = times_of(r[8], r[9], rate)
  change(r, rate)
  r[3], r[4] = math.max(0, r[3]), math.max(0, r[4])
  if r[3] == 0 then r[1] = r[2] end
  local state, at = state_of(r[3], r[4], limit, rate, r[8], r[9])
  if state == EMPTY and r[4] == 0 then
    at = kept_until(r[8], r[9])
    if not at then
      redis.call('HDEL', KEYS[k.groups], group)
      return false
    end
  end
  local anew = state == TURN and r[6] ~= TURN
  -- The number of tickets grows first: no ticket is given twice.
  if anew then r[5] = redis.call('HINCRBY', KEYS[k.limits], 'seq', 1) end
  -- The turn and the timer go before the record, without which they are void.
  if anew then redis.call('RPUSH', KEYS[k.turns], turn_of(r[5], group)) end
  if at then add_timers(k, {at, group}) end
  redis.call('HSET', KEYS[k.groups], group,
    pack_group(r[1], r[2], r[3], r[4], r[5], state, state == TURN and r[7] or 0, r[8], r[9]))
  return anew
end

-- Gives a permit of a group back.
local function give_permit_back(k, group)
  if redis.call('HEXISTS', KEYS[k.groups], group) == 1 then
    change_group(k, group, function(r) r[4] = r[4] - 1 end)
  end
end
