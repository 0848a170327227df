-- batcher_declare.lua: stores the options of a batcher, or compares them with the stored ones.
-- KEYS 1 hash of the batcher
-- ARGV 1 revision of the options  2 options
--      3 part of a batch job's envelope before the job id  4 part between job id and payload
-- Returns {verdict, stored revision, stored options}; the verdict is "OK" (the given options are
--   stored), "OTHER" (other options are stored under this revision) or "OLDER" (a later revision is
--   stored)
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local known = redis.call('HMGET', KEYS[1], 'revision', 'options')
local revision = tonumber(known[1] or -1)
if revision > tonumber(ARGV[1]) then return {'OLDER', known[1], known[2]} end
if revision == tonumber(ARGV[1]) and known[2] ~= ARGV[2] then
  return {'OTHER', known[1], known[2]}
end
redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'options', ARGV[2], 'head', ARGV[3],
  'tail', ARGV[4])
return {'OK', ARGV[1], ARGV[2]}
