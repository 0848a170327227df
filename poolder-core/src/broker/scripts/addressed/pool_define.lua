-- pool_define.lua: registers an addressed pool, or compares it with what is registered.
-- KEYS 1 meta
-- ARGV 1 mode  2 size as the code says it (0 where each process has its own)
-- Returns {"ok" | "mode" | "size" (what differs), mode, size}
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
