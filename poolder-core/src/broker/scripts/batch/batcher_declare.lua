-- batcher_declare.lua: stores the options of a batcher, or compares them with those that are stored.
-- KEYS 1 batcher
-- ARGV 1 revision  2 options  3 what of a batch job stands before its id  4 what follows its id
-- Returns {"OK" stored or the same, "OTHER" the same revision has other options, or "OLDER" a
--   later revision is stored; revision and options that are now stored}
local known = redis.call('HMGET', KEYS[1], 'revision', 'options')
local revision = tonumber(known[1] or -1)
if revision > tonumber(ARGV[1]) then return {'OLDER', known[1], known[2]} end
if revision == tonumber(ARGV[1]) and known[2] ~= ARGV[2] then
  return {'OTHER', known[1], known[2]}
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'options', ARGV[2], 'head', ARGV[3],
  'tail', ARGV[4])
return {'OK', ARGV[1], ARGV[2]}
