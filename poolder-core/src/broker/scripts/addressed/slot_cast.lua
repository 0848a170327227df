-- slot_cast.lua: stores a job for an addressed slot, unless the pool was resized since the producer
--   read its size. A job that another slot moves here is stored once.
-- KEYS 1 hash of the slot's lease  2 stream of the normal lane
--      3 receipt of the move, only for a job that is moved
-- ARGV 1 generation of the pool that the producer knows  2 envelope
--      3 head of a job that is moved: one byte, two for the length of the counters, the counters
--      4 ms for which the receipt is kept
-- Returns the id of the new entry, or 0 when the slot knows a later generation: nothing was stored.
--   Returns the receipt when the job was moved by an earlier call
local receipt = ARGV[3] and redis.call('GET', KEYS[3])
if receipt then return receipt end
-- PERSIST changes nothing. After it a full server refuses no write: a move adds nothing.
if ARGV[3] then redis.call('PERSIST', KEYS[1]) end
local known = tonumber(redis.call('HGET', KEYS[1], 'gen') or 0)
if known > tonumber(ARGV[1]) then return 0 end
local entry, kept
if ARGV[3] then
  entry = redis.call('XADD', KEYS[2], '*', 'j', ARGV[2], 'c', string.sub(ARGV[3], 4))
else
  entry = redis.call('XADD', KEYS[2], '*', 'j', ARGV[2])
end
if known < tonumber(ARGV[1]) then
  -- The first call of a new generation records the edge: the id just below that of its entry. All
  -- entries from before are at or below the edge. To ask the stream for its last id would take the
  -- right to read the entries.
  local ms, seq = string.match(entry, '(%d+)-(%d+)')
  local edge = ms .. '-' .. string.format('%.0f', tonumber(seq) - 1)
  if seq == '0' then edge = string.format('%.0f-18446744073709551615', tonumber(ms) - 1) end
  kept = redis.pcall('HSET', KEYS[1], 'gen', ARGV[1], 'edge', edge)
end
if ARGV[3] and type(kept) ~= 'table' then
  kept = redis.pcall('SET', KEYS[3], entry, 'PX', ARGV[4])
end
-- Without the receipt a repeated call would store a second job; without the generation the next
-- call would record an edge behind this job.
if type(kept) == 'table' and kept.err then
  redis.pcall('XDEL', KEYS[2], entry)
  return kept
end
return entry
