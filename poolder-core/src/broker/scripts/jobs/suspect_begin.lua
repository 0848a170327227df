-- suspect_begin.lua: records that a suspect of a shared queue starts to run. If its node dies, the
--   record tells that this job was running: a suspect that was only claimed is not blamed.
-- KEYS 1 hash of the notes (`lease`)  2 stream of the suspect lane
-- ARGV 1 node  2 id of the job's entry
-- Returns 1 when recorded, 0 when the node does not hold the entry
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local p = redis.call('XPENDING', KEYS[2], 'workers', ARGV[2], ARGV[2], 1)[1]
if not p or p[2] ~= ARGV[1] then return 0 end
redis.call('HSET', KEYS[1], 'begun:' .. ARGV[1], ARGV[2])
return 1
