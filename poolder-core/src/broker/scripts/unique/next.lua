-- next.lua: stands in front of scripts that end or move unique jobs, and is a part of jobs/settle.lua.
--   A job that waits behind the one that holds its key is in `due` with the time `behind`. The second
--   half of the record of the key describes it (see unique/holder.lua): it takes the key and is due
--   when the holder has ended, in the same step.
-- KEYS those of the script
-- ARGV those of the script
-- Returns the reply of the script

-- The due time in ms of a job that waits behind another one.
local behind = 281474976710655 -- 48 bits

-- Returns the id under which a job waits behind the holder of a key; nil when none does. `run` is
-- redis.call, or redis.pcall where nothing may fail.
local function next_of(run, record, due)
  if #record ~= 80 then return nil end
  local last, n = string.byte(record, 56), string.byte(record, 70)
  local id = string.sub(record, 41, 55) .. string.char((last + n) % 256)
  return tonumber(run('ZSCORE', due, id)) == behind and id or nil
end

-- Frees a key whose holder has ended, or gives it to the job that waits behind: `next` is its id, if
-- there is one. `run` as above; after an error the job waits on.
local function pass_key(run, holders, key, record, due, next)
  if not next then return run('HDEL', holders, key) end
  local hold, since, mode, _, at = struct.unpack('>I6I6BBI6', record, 57) -- bounded: five numbers
  local t = run('TIME')
  at = math.max(at, t[1] and t[1] * 1000 + math.floor(t[2] / 1000) or 0)
  run('ZADD', due, 'XX', string.format('%.0f', at), next)
  local taken = redis.pcall('HSET', holders, key, string.sub(record, 41, 56)
    .. struct.pack('>I6I6', math.min(at + hold, behind), since) .. string.char(mode, 5)
    .. string.rep('\0', 10))
  if type(taken) == 'table' then
    redis.pcall('ZADD', due, string.format('%.0f', behind), next)
    if run == redis.call then error(taken.err, 0) end
  end
end

-- Returns the first key of a unique job in an envelope from a position on, and the position behind
-- it. The option U is its name, and 19 bytes: the mode, the key, and more.
local function key_in(envelope, from)
  local _, at = string.find(string.sub(envelope, 1, 4500), '\161U\196\19', from, true)
  if at then return string.sub(envelope, at + 2, at + 13), at + 1 end
end
