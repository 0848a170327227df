-- sort.lua: takes the next jobs out of a lane of a limited queue, and puts each behind the others of
--   its group; a job that has failed before, or comes from the lane high, before them.
-- KEYS 1 stream of the lane: high, normal or low
--      2 hash of the limits of the queue (`limits`)
--      3 hash: group to its record (`limits:groups`)
--      4 hash: number and group to the waiting job (`limits:jobs`)
--      5 list of the turns (`limits:turns`)
--      6 hash: group to its own limits (`limits:own`)
--      7 list of tokens for claimers that wait (`limits:wake`)
--      8 sorted set: group by the time in ms at which it may go on (`limits:timers`)
-- ARGV 1 most jobs, at most 250  2 index of the lane
-- Returns {number of jobs that were taken, id of the entry behind which none was taken ("" for the
--   first one)}; the number is -1 when the queue has no limits, or these end
-- Entries that a consumer holds stay: it runs them. The record of a group is written before its
-- jobs, and these before they leave the lane. A number without a job is passed over by claim.lua, so
-- an error in the middle is mended by the next call.
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local k = {limits = 2, groups = 3, turns = 5, own = 6, wake = 7, timers = 8}
local lane, most_bytes = KEYS[1], 1048576

-- Returns the position behind a MessagePack value; nil for a form that options do not have.
local wide = {[0xc0] = 1, [0xc2] = 1, [0xc3] = 1, [0xca] = 5, [0xcb] = 9, [0xcc] = 2, [0xcd] = 3,
  [0xce] = 5, [0xcf] = 9, [0xd0] = 2, [0xd1] = 3, [0xd2] = 5, [0xd3] = 9}
local function skip(text, at, deep)
  local b = string.byte(text, at)
  if not b or deep > 16 then return nil end
  if b < 0x80 or b >= 0xe0 then return at + 1 end
  if b >= 0xa0 and b < 0xc0 then return at + b - 0x9f end
  if wide[b] then return at + wide[b] end
  local size = ({[0xc4] = 1, [0xd9] = 1, [0xc5] = 2, [0xda] = 2, [0xc6] = 4, [0xdb] = 4})[b]
  if size then
    if at + size > #text then return nil end
    return at + 1 + size + (number_in('>I' .. size, text, at + 1))
  end
  local count, from
  if b < 0x90 then count, from = 2 * (b - 0x80), at + 1
  elseif b < 0xa0 then count, from = b - 0x90, at + 1
  elseif (b == 0xdc or b == 0xde) and at + 2 <= #text then
    count, from = number_in('>I2', text, at + 1) * (b == 0xde and 2 or 1), at + 3
  end
  if not count or count > #text then return nil end
  for _ = 1, count do
    from = skip(text, from, deep + 1)
    if not from then return nil end
  end
  return from
end

-- Returns the group and the cost of a job: the options `g` and `n` of its envelope.
local function options_in(envelope)
  local group, cost = '', 1
  if string.byte(envelope, 1) ~= 1 then return group, cost end
  local flags, kind = string.byte(envelope, 2), string.byte(envelope, 19)
  local at = kind and 20 + kind
  if not at or flags % 2 == 0 or #envelope < at + 2 then return group, cost end
  local length = number_in('>I2', envelope, at)
  local map = string.sub(envelope, at + 2, at + 1 + length)
  local entries = string.byte(map, 1) or 0
  if entries < 0x80 or entries > 0x8f then return group, cost end
  at = 2
  for _ = 1, entries - 0x80 do
    local behind = skip(map, at, 0)
    local after = behind and skip(map, behind, 0)
    if not after then return group, cost end
    local option = string.sub(map, at, behind - 1)
    if option == '\161g' then
      local form = string.byte(map, behind)
      local from = form >= 0xa0 and form < 0xc0 and behind + 1 or form == 0xd9 and behind + 2
      local name = from and string.sub(map, from, after - 1) or ''
      if #name <= 128 and name ~= '\0' then group = name end
    elseif option == '\161n' then
      local form = string.byte(map, behind)
      local size = ({[0xcc] = 1, [0xcd] = 2, [0xce] = 4})[form]
      local number = size and number_in('>I' .. size, map, behind + 1) or form < 0x80 and form
      cost = math.max(1, number or 1)
    end
    at = after
  end
  return group, cost
end

-- Returns the group that a plain entry names; "" for one that is no text of at most 128 bytes.
local characters = {'[\32-\126]', '[\194-\223][\128-\191]', '\224[\160-\191][\128-\191]',
  '[\225-\236\238\239][\128-\191][\128-\191]', '\237[\128-\159][\128-\191]',
  '\240[\144-\191][\128-\191][\128-\191]', '[\241-\243][\128-\191][\128-\191][\128-\191]',
  '\244[\128-\143][\128-\191][\128-\191]'}
local function group_named(name)
  if not name or #name > 128 then return '' end
  local rest = name
  for _, form in ipairs(characters) do rest = string.gsub(rest, form, '\1') end
  return string.find(rest, '[^\1]') and '' or name
end

-- Returns the envelope of a plain entry, as a node reads it, with its group; nil for an entry that is
-- no job.
local function envelope_of(id, kind, payload, group)
  if not kind or not payload or #kind < 1 or #kind > 128 then return nil end
  local digits = redis.sha1hex('poolder job ids\0' .. lane .. '\n' .. id)
  local bytes = {}
  for i = 1, 16 do bytes[i] = tonumber(string.sub(digits, 2 * i - 1, 2 * i), 16) end
  bytes[7], bytes[9] = bytes[7] % 16 + 0x50, bytes[9] % 64 + 0x80
  local options = ''
  if group ~= '' then
    options = struct.pack('>I2', 5 + #group) .. '\129\161g\217' .. string.char(#group) .. group
  end
  local job = string.char(unpack(bytes)) -- bounded: 16 bytes
  return '\1' .. (group == '' and '\2' or '\3') .. job .. string.char(#kind) .. kind .. options ..
    payload
end

-- Returns the group of an entry, the job as it waits, and whether it goes before the others.
local function read_entry(id, list)
  local first = list[1]
  local named = {}
  for i = 1, math.min(#list, 100), 2 do named[list[i]] = list[i + 1] end
  local envelope, counters = first == 'j' and named.j or nil, named.c
  local group, cost = '', 1
  if envelope then group, cost = options_in(envelope) end
  if not envelope and not named.j then
    group = group_named(named.group)
    envelope = envelope_of(id, named.kind, named.payload, group)
  end
  if not envelope or #(counters or '') > 65000 then
    return '', '\33' .. table.concat(list, '\0'), false
  end
  -- A job without counters comes from the lane normal, unless they say something else.
  if not counters and ARGV[2] ~= '3' then
    counters = '\150\0\0\0\0' .. string.char(ARGV[2]) .. '\192'
  end
  local failed = counters and (string.byte(counters, 2) or 0) ~= 0 or false
  local value = envelope
  if cost > 1 then
    counters = counters or ''
    value = '\34' .. pack_in('>I2I4', #counters + 4, cost) .. counters .. envelope
  elseif counters then
    value = '\32' .. pack_in('>I2', #counters) .. counters .. envelope
  end
  return group, value, failed or ARGV[2] == '2'
end

local f = redis.call('HMGET', KEYS[2], 'each', 'own', 'seq', 'on', 'each_rate')
if f[4] ~= '1' then return {-1, ''} end
-- The entries behind those that were delivered to a consumer.
local delivered = ''
for _, group in ipairs(redis.pcall('XINFO', 'GROUPS', lane)) do
  if group[2] == 'workers' and group[8] ~= '0-0' then delivered = group[8] end
end
local from = delivered == '' and '-' or '(' .. delivered
local entries, bytes, most = {}, 0, tonumber(ARGV[1])
local count = math.min(4, most)
while #entries < most and bytes < most_bytes do
  local page = redis.call('XRANGE', lane, from, '+', 'COUNT', count)
  for _, entry in ipairs(page) do
    entries[#entries + 1] = entry
    for _, text in ipairs(entry[2]) do bytes = bytes + #text end
  end
  if #page < count then break end
  from = '(' .. page[#page][1]
  local fits = math.floor((most_bytes - bytes) * #entries / (bytes + 1))
  count = math.max(1, math.min(most - #entries, fits))
end
if not entries[1] then return {0, delivered} end

local groups, order, ids, jobs = {}, {}, {}, {}
for i, entry in ipairs(entries) do
  ids[i] = entry[1]
  local name, value, before = read_entry(entry[1], entry[2])
  local group = groups[name]
  if not group then
    group = {before = {}, behind = {}}
    groups[name], order[#order + 1] = group, name
  end
  local list = before and group.before or group.behind
  list[#list + 1] = value
end
local each, seq, each_rate = tonumber(f[1]) or 0, tonumber(f[3]) or 0, rate_of(f[5])
local records = redis.call('HMGET', KEYS[3], unpack(order)) -- bounded: 250 groups
local owns = f[2] and redis.call('HMGET', KEYS[6], unpack(order)) or {} -- bounded: 250 groups
local sets, ring, later, fields = {}, {}, {}, {}
local oldest = redis.call('XRANGE', lane, '-', '+', 'COUNT', 1)[1]
-- A value of a wrong type ends the call before anything is changed.
redis.call('LLEN', KEYS[5])
redis.call('HLEN', KEYS[4])
for i, name in ipairs(order) do
  local head, tail, waiting, running, ticket, state, credit, full_at, held = read_group(records[i])
  local group = groups[name]
  head = head - #group.before
  for n, value in ipairs(group.before) do
    fields[#fields + 1] = field_of(head + n - 1, name)
    jobs[#jobs + 1], jobs[#jobs + 2] = fields[#fields], value
  end
  for n, value in ipairs(group.behind) do
    fields[#fields + 1] = field_of(tail + n - 1, name)
    jobs[#jobs + 1], jobs[#jobs + 2] = fields[#fields], value
  end
  tail = tail + #group.behind
  waiting = waiting + #group.before + #group.behind
  if state == EMPTY then
    local limit, weight, rate = limits_of(owns[i], each, each_rate)
    local time
    full_at, held = times_of(full_at, held, rate)
    state, time = state_of(waiting, running, limit, rate, full_at, held)
    if state == TURN then
      seq = seq + 1
      ticket = seq
      ring[#ring + 1] = turn_of(ticket, name)
    elseif state == LATER then
      later[#later + 1], later[#later + 2] = time, name
    end
  end
  sets[#sets + 1] = name
  sets[#sets + 1] =
    pack_group(head, tail, waiting, running, ticket, state, credit, full_at, held)
end
if ring[1] then redis.call('HSET', KEYS[2], 'seq', seq) end
-- A turn and a timer go before the record, without which they are void.
if ring[1] then redis.call('RPUSH', KEYS[5], unpack(ring)) end -- bounded: 250 groups
add_timers(k, later)
redis.call('HSET', KEYS[3], unpack(sets)) -- bounded: 500 values
local stored = redis.pcall('HSET', KEYS[4], unpack(jobs)) -- bounded: 500 values
local removed = stored
if type(stored) == 'number' then
  local millis, number = string.match(ids[#ids], '(%d+)-(%d+)')
  -- Where no entry lies before them, all are cut off at once.
  if oldest and oldest[1] == ids[1] and #number < 15 then
    local after = millis .. '-' .. string.format('%.0f', number + 1)
    removed = redis.pcall('XTRIM', lane, 'MINID', '=', after)
  else
    removed = redis.pcall('XDEL', lane, unpack(ids)) -- bounded: 250 ids
  end
end
if type(removed) == 'table' then
  redis.pcall('HDEL', KEYS[4], unpack(fields)) -- bounded: 250 fields
  return removed
end
if ring[1] then wake(k) end
return {#ids, ids[#ids]}
