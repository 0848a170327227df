-- settle.lua: settles claimed jobs one by one. Each job that the owner still holds is changed by
--   the operations of its settlement, and then leaves its lane. The destination is written before
--   the source is removed. An error in between leaves the job in its lane, still claimed, and takes
--   back what was added to a lane, to `due` or to the dead. Counters are raised once, when the job
--   can no longer be settled again.
--   `scripts.rs` lists the other parts of this script.
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
--      16.. other keys of the operations, which name them by their index in KEYS
--      the last one, if ARGV 5 names "hooks": sorted set: id of a dead job of which hooks are told,
--        and a byte with the number of tries, by the time of the next try in ms (`dead:hooks`)
-- ARGV 1 owner: the consumer that holds the claims
--      2 most dead jobs to keep
--      3 control channel
--      4 term and holder of the slot's lease, separated by a space ("" on a shared queue)
--      5 names of the features that the call needs, separated by spaces: "batch", "schedule",
--        "unique", "hooks"
--      6.. at most 50 settlements. Each is a row of MessagePack values: entry id, job id, name of
--        the counter to raise, number of operations, number of operations for a job that was
--        cancelled meanwhile (nil when the settlement stands all the same), all text of a plain
--        entry joined by zero bytes (nil for an entry that Poolder wrote, a number of bytes for one
--        that the owner has not read), envelope (nil to move the stored one); then the operations.
--        Each has six values: its name, its own values, nil for the rest
-- Returns a string with one digit per job: 1 for settled, 0 for no longer held by the owner
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts

-- The settlement that is being applied: the ids of its entry and of its job, and the envelope.
local entry, job, body
-- Entries added to a lane, the lane, the ids under which the job was added to `due` and to the dead,
-- and the field under which it was added to its group, with the hash: an error takes them back.
local added, added_to, waits, died, grouped, grouped_in
-- The record of the key of a unique job that was freed, the key, its hash, and the job behind that
-- has taken it: an error takes it back.
local freed, freed_key, freed_from, freed_next
-- Counters to raise when the entry is removed.
local counts = {}
-- Called once an entry is removed; a part of this script may set it.
local after_removal

local clock
local function now()
  if not clock then
    local t = redis.call('TIME')
    clock = t[1] * 1000 + math.floor(t[2] / 1000)
  end
  return clock
end

-- Raises a counter in a hash. A counter that is not a number starts again: a counting error must
-- not fail a script that has already moved jobs.
local function add(hash, name, times)
  if type(redis.pcall('HINCRBY', hash, name, times)) == 'table' then
    redis.pcall('HSET', hash, name, times)
  end
end

local function count(hash, name, times)
  counts[#counts + 1] = hash
  counts[#counts + 1] = name
  counts[#counts + 1] = times
end

-- Returns the id under which the current job is kept in a sorted set: its own, or the first free one
-- of 15 others if another generation of its id is there already.
local function free_id(times)
  local last = string.byte(job, 16)
  for n = 0, 15 do
    local id = string.sub(job, 1, 15) .. string.char((last + n) % 256)
    if not redis.call('ZSCORE', times, id) then return id end
  end
  return string.sub(redis.sha1hex(job .. entry), 1, 16)
end

-- Number of dead jobs, once it is known.
local dead
local hooks = string.find(ARGV[5], 'hooks', 1, true) and KEYS[#KEYS]

-- Adds a job to the dead, and drops the oldest one when there are too many. The time is added first
-- and removed last: without it, no call would find the record.
local function bury(id, record)
  dead = dead or redis.call('ZCARD', KEYS[4])
  local time = string.format('%.0f', now())
  local new = redis.call('ZADD', KEYS[4], time, id)
  redis.call('HSET', KEYS[5], id, record)
  dead = dead + new
  if hooks then redis.call('ZADD', hooks, time, id .. '\0') end
  if dead > tonumber(ARGV[2]) then
    local oldest = redis.call('ZRANGE', KEYS[4], 0, 0)[1]
    -- The record of a batch that is dead begins with 0.
    local record = redis.call('HGET', KEYS[13], oldest)
    if record and string.sub(record, 1, 1) == '0' then redis.call('SADD', KEYS[14], oldest) end
    redis.call('HDEL', KEYS[5], oldest)
    redis.call('ZREM', KEYS[4], oldest)
    dead = dead - 1
    add(KEYS[6], 'dead_dropped', 1)
  end
  if hooks then
    if redis.call('ZCARD', hooks) > tonumber(ARGV[2]) then
      redis.call('ZREM', hooks, redis.call('ZRANGE', hooks, 0, 0)[1])
    end
    -- Hints may be lost.
    redis.pcall('PUBLISH', ARGV[3], 'dead')
  end
end
