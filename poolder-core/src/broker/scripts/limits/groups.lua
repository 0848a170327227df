-- groups.lua: a part of every script that changes a group of a limited queue, the first one. A group
--   has a record while one of its jobs waits or runs. The record says where the group belongs, so that a
--   group which may not start a job is in no list that a claim looks at.
-- KEYS of its functions are given by k: the positions of `limits`, `groups`, `turns`, `own`, `wake`
-- Returns nothing: it defines functions
-- Record, 26 bytes: number of the next job, number after the last one, jobs that wait, jobs that run,
--   ticket, state, jobs that are left of its turn. A record of another length counts as absent.
-- States: EMPTY (no job waits), TURN (the group stands in the list of turns under its ticket; an
--   entry with any other ticket is void), FULL (as many of its jobs run as its limit allows)
local EMPTY, TURN, FULL = 0, 1, 2
local FORM, FIRST = '>I5I5I4I4I6BB', 1000000000
local number_in, pack_in = struct.unpack, struct.pack

local function read_group(record)
  if not record or #record ~= 26 then return FIRST, FIRST, 0, 0, 0, EMPTY, 0 end
  return number_in(FORM, record)
end

local function pack_group(head, tail, waiting, running, ticket, state, credit)
  return pack_in(FORM, head, tail, waiting, running, ticket, state, credit)
end

-- Returns the field of a waiting job, and the entry of a group in the list of turns.
local function field_of(number, group) return pack_in('>I5c0', number, group) end
local function turn_of(ticket, group) return pack_in('>I6c0', ticket, group) end

-- Returns how many jobs of a group may run at a time (0 for any number), and how many it starts in a
-- turn. Own limits of a group are two numbers; "-" stands for the default of the queue.
local function limits_of(own, each)
  if not own then return each, 1 end
  local limit, weight = string.match(own, '^(%S+) (%S+)')
  weight = math.floor(tonumber(weight) or 1)
  return tonumber(limit) or each, math.max(1, math.min(weight, 100))
end

local function state_of(waiting, running, limit)
  if waiting == 0 then return EMPTY end
  if limit > 0 and running >= limit then return FULL end
  return TURN
end

-- Wakes one of the claimers that wait, if there is one. Nothing depends on it: claimers wait 5 s at
-- most.
local function wake(k)
  if redis.pcall('HDEL', KEYS[k.limits], 'idle') == 1 then
    redis.pcall('RPUSH', KEYS[k.wake], '1')
  end
end

-- Changes a group, and puts it where it belongs then. change(r) alters the fields of its record: 1
-- number of the next job, 2 number after the last one, 3 jobs that wait, 4 jobs that run, 6 state.
-- Returns true when the group stands in the list of turns anew.
local function change_group(k, group, change)
  local f = redis.call('HMGET', KEYS[k.limits], 'each', 'own')
  local own = f[2] and redis.call('HGET', KEYS[k.own], group)
  local limit = limits_of(own, tonumber(f[1]) or 0)
  local r = {read_group(redis.call('HGET', KEYS[k.groups], group))}
  change(r)
  r[3], r[4] = math.max(0, r[3]), math.max(0, r[4])
  if r[3] == 0 then r[1] = r[2] end
  local state = state_of(r[3], r[4], limit)
  if state == EMPTY and r[4] == 0 then
    redis.call('HDEL', KEYS[k.groups], group)
    return false
  end
  local anew = state == TURN and r[6] ~= TURN
  -- The number of tickets grows first: no ticket is given twice.
  if anew then r[5] = redis.call('HINCRBY', KEYS[k.limits], 'seq', 1) end
  -- The turn goes before the record, without which it is void.
  if anew then redis.call('RPUSH', KEYS[k.turns], turn_of(r[5], group)) end
  redis.call('HSET', KEYS[k.groups], group,
    pack_group(r[1], r[2], r[3], r[4], r[5], state, state == TURN and r[7] or 0))
  return anew
end

-- Gives a permit of a group back.
local function give_permit_back(k, group)
  if redis.call('HEXISTS', KEYS[k.groups], group) == 1 then
    change_group(k, group, function(r) r[4] = r[4] - 1 end)
  end
end
