-- push.lua: appends entries to the list of a group that is filling. A list that is full is sealed:
--   it is renamed, and the batch job that points to it becomes ready; nothing is copied. Entries
--   that fill a batch by themselves go straight into its sealed list. Without entries it only seals.
-- KEYS 1 batcher  2 its open groups  3 filling list  4 ready lane  5 due  6 index of sealed lists
--      7 receipt of an idempotent push  8.. a sealed list for each job id
-- ARGV 1 batcher's name  2 group  3 revision of the options the caller knows ("" to only seal)
--      4 limit  5 timeout in ms ("" for none)  6 most bytes  7 most waiting entries  8 most open
--      groups ("" each for no limit)  9 window in ms in which the receipt holds ("" for none)
--      10 "RPUSH" or "LPUSH"  11 what to seal in the end: "" nothing, "any", or a generation
--      12 control channel  13 bytes of all entries  14 how many job ids follow; then those, then
--      at most 500 entries
-- Returns {"OK", "FULL" (only so many fit), "GROUPS" (no room for another), "AGAIN" (stored
--   before), "OPTIONS" (of another revision) or "UNDECLARED"; entries stored; batches sealed;
--   job id of the last one, or ""}
-- Most pushes seal nothing and begin nothing: what only the others need is asked for there, since
--   each call and each number that is written out costs about as much as storing five entries.
local name, group, limit = ARGV[1], ARGV[2], tonumber(ARGV[4])
local clock, now
local function look_at_clock()
  if clock then return end
  local t = redis.call('TIME')
  clock = t[1] * 1000 + math.floor(t[2] / 1000)
  now = string.format('%.0f', clock)
end
local function timer(generation)
  return 'timer:batch:seal:' .. name .. ':' .. generation .. ':' .. group
end

local about = redis.call('HMGET', KEYS[1], 'revision', 'waiting', 'generation', 'pushed')
if not about[1] then
  -- A timer comes again in a minute: the batcher may be declared by then.
  if ARGV[11] ~= '' and ARGV[11] ~= 'any' then
    look_at_clock()
    redis.call('ZADD', KEYS[5], 'XX', string.format('%.0f', clock + 60000), timer(ARGV[11]))
  end
  return {'UNDECLARED', 0, 0, ''}
end
if ARGV[3] ~= '' and ARGV[3] ~= about[1] then return {'OPTIONS', 0, 0, ''} end
if ARGV[9] ~= '' then
  local receipt = redis.call('GET', KEYS[7])
  if receipt then return {'AGAIN', tonumber(receipt), 0, ''} end
end

local ids = tonumber(ARGV[14])
local first, last = 15 + ids, #ARGV
local average = tonumber(ARGV[13]) / math.max(last - first + 1, 1)
local verdict = 'OK'
if ARGV[7] ~= '' and first <= last then
  local room = tonumber(ARGV[7]) - tonumber(about[2] or 0)
  if last - first + 1 > room then
    verdict, last = 'FULL', first + math.max(room, 0) - 1
  end
end
local meta = redis.call('HGET', KEYS[2], group)
if first <= last and not meta and ARGV[8] ~= ''
  and redis.call('HLEN', KEYS[2]) >= tonumber(ARGV[8]) then
  verdict, last = 'GROUPS', first - 1
end

local count = redis.call('LLEN', KEYS[3])
local generation, since, bytes = string.match(meta or '', '^(%d+) (%d+) (%d+)$')
bytes = tonumber(bytes or 0)
local noted = generation
local used, sealed_entries, job = 0, 0, ''
local form, free
local notes, reasons = {}, {}

-- The next id for a batch that is sealed now. An id is used once: a list of that name would be
--   somebody else's.
local function take_id()
  look_at_clock()
  if free == nil then
    free = ids > 0 and redis.call('EXISTS', unpack(KEYS, 8, 7 + ids)) == 0 -- bounded: 502 ids
  end
  repeat
    used = used + 1
    if used > ids then return false end
  until free or redis.call('EXISTS', KEYS[7 + used]) == 0
  job = ARGV[14 + used]
  return true
end

-- Makes the batch job of that id ready, before its list is there: that comes in this step, too.
local function add_job(entries, size, from, why)
  form = form or redis.call('HMGET', KEYS[1], 'head', 'tail', 'sealed', 'sealed_entries')
  local payload = cmsgpack.pack({group = group, entries = entries, bytes = size,
    since = tonumber(from), sealed = clock})
  redis.call('XADD', KEYS[4], '*', 'j', form[1] .. job .. form[2] .. payload)
  notes[#notes + 1] = job
  notes[#notes + 1] = string.format('1 %d %.0f %s %s %s:%s', entries, size, from, now, name, group)
  sealed_entries = sealed_entries + entries
  reasons[why] = (reasons[why] or 0) + 1
end

local function seal(why)
  if not take_id() then return false end
  add_job(count, bytes, since or now, why)
  redis.call('RENAMENX', KEYS[3], KEYS[7 + used])
  if noted then redis.call('ZREM', KEYS[5], timer(noted)) end
  count, bytes, generation, noted = 0, 0, nil, nil
  return true
end

local most = tonumber(ARGV[6])
local at, batches = first, 0
while at <= last do
  -- As many as there is room for. They are weighed one by one only where that matters.
  local till = math.max(at, math.min(last + 1, at + limit - count))
  local size = bytes + math.floor(average * (till - at) + 0.5)
  if most then
    local fits = at
    size = bytes
    while fits < till do
      local grown = size + #ARGV[fits]
      if grown > most and count + fits > at then break end
      size, fits = grown, fits + 1
    end
    till = fits
  end
  local full = count + till - at >= limit and 'limit' or till <= last and 'bytes'
  local whole = full and count == 0 and till > at
  if whole then
    if not take_id() then break end
    add_job(till - at, size, now, full)
    redis.call(ARGV[10], KEYS[7 + used], unpack(ARGV, at, till - 1)) -- bounded: 500 entries
    at, batches = till, batches + 1
  elseif till > at then
    if not generation then
      look_at_clock()
      generation = string.format('%.0f', math.max(clock, tonumber(about[3] or 0) + 1))
      about[3], since = generation, now
    end
    redis.call(ARGV[10], KEYS[3], unpack(ARGV, at, till - 1)) -- bounded: 500 entries
    count, bytes, at = count + till - at, size, till
  end
  if full and not whole then
    if not seal(full) then break end
    batches = batches + 1
  end
end
local stored = at - first
if ARGV[11] ~= '' then
  local why = ARGV[11] == 'any' and 'flush' or 'timeout'
  if count > 0 and (why == 'flush' or ARGV[11] == generation) and seal(why) then
    batches = batches + 1
  end
  if ARGV[11] ~= 'any' then redis.call('ZREM', KEYS[5], timer(ARGV[11])) end
end

local changes = {}
local function set(field, value)
  changes[#changes + 1] = field
  changes[#changes + 1] = value
end
local function add(field, known, more) set(field, (tonumber(known) or 0) + more) end
if generation and stored > 0 then
  redis.call('HSET', KEYS[2], group, string.format('%s %s %.0f', generation, since, bytes))
  if not noted then
    set('generation', generation)
    if ARGV[5] ~= '' then
      local due, member = string.format('%.0f', clock + ARGV[5]), timer(generation)
      redis.call('ZADD', KEYS[5], due, member)
      if redis.call('ZRANGE', KEYS[5], 0, 0)[1] == member then
        redis.call('PUBLISH', ARGV[12], 'due')
      end
    end
  end
elseif meta and not generation then
  redis.call('HDEL', KEYS[2], group)
end
if stored > 0 then
  add('waiting', about[2], stored)
  add('pushed', about[4], stored)
  if ARGV[9] ~= '' then redis.call('SET', KEYS[7], stored, 'PX', ARGV[9]) end
end
if batches > 0 then
  redis.call('HSET', KEYS[6], unpack(notes)) -- bounded: two for each batch
  add('sealed', form[3], batches)
  add('sealed_entries', form[4], sealed_entries)
end
if #changes > 0 then redis.call('HSET', KEYS[1], unpack(changes)) end -- bounded: five at most
for why, times in pairs(reasons) do redis.call('HINCRBY', KEYS[1], 'sealed_' .. why, times) end
return {verdict, stored, batches, job}
