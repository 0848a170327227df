-- pool_define.lua: registers an addressed or broadcast pool, or compares it with the registered
--   one. The size must be the registered one, or the one that was declared before a resize.
-- KEYS 1 hash of the pool (`meta` of the queue's first partition)
-- ARGV 1 dispatch mode  2 number of slots that the code declares (0 for a broadcast pool, of which
--      each process has its own number)
-- Returns {verdict, registered mode, registered size}; the verdict is "ok", or "mode" or "size" for
--   the property that differs: then nothing was changed
redis.call('PERSIST', KEYS[1]) -- the first write, which a full server accepts
local m = redis.call('HMGET', KEYS[1], 'mode', 'size', 'declared')
if not m[1] then
  redis.call('HSET', KEYS[1], 'mode', ARGV[1], 'size', ARGV[2], 'declared', ARGV[2],
    'generation', 1, 'drain', 0, 'tail', ARGV[2])
  return {'ok', ARGV[1], ARGV[2]}
end
if m[1] ~= ARGV[1] then return {'mode', m[1], m[2]} end
if m[2] == ARGV[2] then
  redis.call('HSET', KEYS[1], 'declared', ARGV[2])
elseif m[3] ~= ARGV[2] then
  return {'size', m[1], m[2]}
end
return {'ok', m[1], m[2]}
