-- holder.lua: stands in front of scripts that take keys of unique jobs for their jobs. The hash
--   `unique` has a record for each key that is held, of 40 bytes:
--     1-16   id of the job that holds the key
--     17-22  time in ms until which it holds the key wherever it is
--     23-28  time in ms at which it has taken the key; of an id that is derived from a name it is
--            the generation of the job
--     29     mode: 1 until done, 2 until start, 3 window, 4 debounce, 5 keep last
--     30     place: index of the lane, 5 for `due`, 6 when it is not known
--     31-40  entry in the lane: ms, and the number in 32 bits
--   The record has 40 bytes more while a job waits behind the holder (see unique/next.lua):
--     41-56  id of this job
--     57-62  time in ms for which it holds the key beyond its due time
--     63-69  as 23-29, for this job
--     70     n: in `due` the last byte of its id is n higher, since another job had its id there
--     71-80  time in ms before which it is not due, in 48 bits; 4 bytes 0
--   Numbers are big endian. The key is the field: 12 bytes.
-- KEYS those of the script behind it
-- ARGV those of the script behind it
-- Returns the reply of the script behind it

-- Values above 64 bytes let the server find a field at once, however many there are: without one it
-- searches a short hash from its beginning.
local long_value = string.rep(' ', 65)

-- Returns the 10 bytes of an entry, and whether they hold it.
local function packed(entry)
  local ms, number = string.match(entry, '^(%d+)-(%d+)$')
  if not ms or tonumber(number) >= 4294967296 then return string.rep('\0', 10), false end
  return struct.pack('>I6I4', tonumber(ms), tonumber(number)), true
end

-- Lets a job hold a key. `place` is the index of a lane, or 5 for `due`. Returns an error after
-- which nothing was changed, or nil.
local function take_key(holders, key, job, ends, since, mode, place, entry)
  local where, known = packed(entry)
  if place < 5 and not known then place = 6 end
  ends = math.min(ends, 281474976710655) -- 48 bits
  local record = job .. struct.pack('>I6I6', ends, since) .. string.char(mode, place) .. where
  local new = redis.pcall('HSET', holders, key, record)
  if type(new) == 'table' then return new end
  if new == 1 and redis.pcall('HLEN', holders) == 1 then
    redis.pcall('HSET', holders, '\0', long_value)
  end
end

-- Frees a key, and ends the hash with the last one.
local function drop_key(holders, key)
  redis.pcall('HDEL', holders, key)
  if redis.pcall('HLEN', holders) == 1 then redis.pcall('HDEL', holders, '\0') end
end

-- Returns the job that holds a key, its mode, its place, its entry, the time at which it has taken
-- the key, and the record; nil and the record when the key is free. `lanes` is the index of the
-- first lane in KEYS. After the time of its record a job holds the key only where it is found at its
-- place, or while a job is noted behind it: `sweep.lua` starts that one, and is `sweeping`.
local function holder_of(holders, key, now, due, bodies, lanes, sweeping)
  local record = redis.call('HGET', holders, key)
  if not record or #record ~= 40 and #record ~= 80 then return nil, record end
  local job = string.sub(record, 1, 16)
  local ends, since, mode, place, ms, number =
    struct.unpack('>I6I6BBI6I4', record, 17) -- bounded: six numbers
  local entry = place < 5 and string.format('%.0f-%.0f', ms, number) or ''
  if now < ends or #record == 80 and not sweeping then
    return job, mode, place, entry, since, record
  end
  if mode == 3 or place > 5 then return nil, record end
  -- Without the right to read the lanes the key is free then.
  if place < 5 then
    local found = redis.pcall('XRANGE', KEYS[lanes + place], entry, entry)[1]
    found = type(found) == 'table' and found[2]
    if not found or string.sub(found[2] or '', 3, 18) ~= job then return nil, record end
    return job, mode, place, entry, since, record
  end
  for n = 0, 15 do
    local id = string.sub(job, 1, 15) .. string.char((string.byte(job, 16) + n) % 256)
    if redis.pcall('HEXISTS', bodies, id) == 1 then
      return job, mode, place, entry, since, record
    end
  end
  return nil, record
end
