-- settle_each.lua: a part of settle.lua, the last one. It applies each settlement whose claim still
--   holds.
-- KEYS 1, 2, 6, 12 and 15, and ARGV as in settle.lua
-- Operations: none of its own; it calls those of the other parts

local owner, unpack_values = ARGV[1], cmsgpack.unpack_limit
local lease_held = true
if ARGV[4] ~= '' then
  local l = redis.call('HMGET', KEYS[15], 'holder', 'term')
  lease_held = (l[2] or '') .. ' ' .. (l[1] or '') == ARGV[4]
end

-- Returns the envelope of the current entry and its counters, if it has any, when the owner holds it
-- and it is the current job; "" for a plain entry. An entry that the owner has not read is recognized
-- by its bytes; all text of a plain one is returned.
local function held(plain)
  if not lease_held then return nil end
  local p = redis.call('XPENDING', KEYS[1], 'workers', entry, entry, 1)[1]
  if not p or p[2] ~= owner then return nil end
  local found = redis.call('XRANGE', KEYS[1], entry, entry)[1]
  if not found then return nil end
  local f = found[2]
  if type(plain) == 'number' then
    for _, text in ipairs(f) do plain = plain - #text end
    local id = f[1] == 'j' and string.sub(f[2], 3, 18) or ''
    if plain ~= 0 or #id == 16 and id ~= job then return nil end
    return f[1] == 'j' and f[2] or table.concat(f, '\0')
  end
  if plain then return table.concat(f, '\0') == plain and '' or nil end
  if f[1] == 'j' and string.sub(f[2], 3, 18) == job then
    return f[2], f[3] == 'c' and f[4] or nil
  end
  return nil
end

-- True when there are cancellations: a cancelled job is removed instead of moved to a lane or to
-- `due`.
local has_cancellations = redis.call('ZCARD', KEYS[12]) > 0
local settled = ''

-- Returns true when the current job is cancelled. A cancellation that is older than the generation
-- of the job was meant for earlier ones.
local function is_cancelled(counters)
  local at = redis.call('ZSCORE', KEYS[12], job)
  if not at or not counters then return at end
  local read, array = pcall(cmsgpack.unpack, counters)
  local map = read and type(array) == 'table' and array[7]
  local generation = type(map) == 'table' and tonumber(map.g)
  return not generation or generation <= tonumber(at)
end

-- Takes back a destination, for a repetition or a rescue.
local function take_back()
  if added then redis.pcall('XDEL', added_to, unpack(added)) end -- bounded: 101 ids
  if waits then
    redis.pcall('ZREM', KEYS[2], waits)
    redis.pcall('HDEL', KEYS[3], waits)
  end
  if died then
    redis.pcall('HDEL', KEYS[5], died)
    redis.pcall('ZREM', KEYS[4], died)
    if hooks then redis.pcall('ZREM', hooks, died .. '\0') end
  end
  if grouped then redis.pcall('HDEL', grouped_in, grouped) end
  if freed then redis.pcall('HSET', freed_from, freed_key, freed) end
  if freed_next then redis.pcall('ZADD', KEYS[2], behind, freed_next) end
end

for n = 6, #ARGV do
  local row, at, counter, count, count_if_cancelled, plain, envelope = ARGV[n]
  at, entry, job, counter, count, count_if_cancelled, plain, envelope = unpack_values(row, 7, 0)
  local stored, counters = held(plain)
  if stored then
    body = envelope or stored
    added, waits, died, grouped, freed, freed_next = nil, nil, nil, nil, nil, nil
    local cancelled = has_cancellations and is_cancelled(counters)
    if cancelled and count_if_cancelled then
      for _ = 1, count do at = unpack_values(row, 6, at) end
      counter, count = 'cancelled', count_if_cancelled
    end
    for _ = 1, count do
      local name, a, b, c, d, e
      at, name, a, b, c, d, e = unpack_values(row, 6, at)
      local done, failure = pcall(ops[name], a, b, c, d, e)
      if not done then
        take_back()
        error(failure, 0)
      end
    end
    local removed = redis.pcall('XDEL', KEYS[1], entry)
    if type(removed) == 'table' then
      take_back()
      return removed
    end
    -- Nothing may fail from here on; ack_missing.lua acknowledges a claim without an entry.
    redis.pcall('XACK', KEYS[1], 'workers', entry)
    -- Other jobs may have an id that is derived from a name: their cancellation stays. A generated
    -- id is a UUIDv7.
    if cancelled and math.floor(string.byte(job, 7) / 16) == 7 then
      redis.pcall('ZREM', KEYS[12], job)
    end
    add(KEYS[6], counter, 1)
    if #counts > 0 then
      for i = 1, #counts, 3 do add(counts[i], counts[i + 1], counts[i + 2]) end
      counts = {}
    end
    if after_removal then after_removal() end
    settled = settled .. '1'
  else
    settled = settled .. '0'
  end
end
if first_due_changed then redis.pcall('PUBLISH', ARGV[3], 'due') end
return settled
