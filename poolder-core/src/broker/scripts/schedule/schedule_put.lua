-- schedule_put.lua: stores a schedule that is new, or whose latest revision the caller has read, so
--   that no change is lost. The new revision stops ticks that were planned for the one before.
-- KEYS 1 hash: name to record  2 hash: name to state  3 sorted set: name by time of the next tick
-- ARGV 1 name of the schedule
--      2 revision that the caller has read ("" for a new schedule)
--      3 record
--      4 time of the next tick in ms ("" for none)
--      5 time in ms up to which all ticks are decided ("" to keep the stored one)
--      6 most schedules of the queue
--      7 control channel
--      8 "1" for a schedule that code declares, which is stored on a full server, too
-- Returns {"ok", new revision}, {"conflict", stored revision ("" for none)} when it is another one
--   than the caller has read, or {"full", number of schedules}
local name = ARGV[1]
local state = redis.call('HGET', KEYS[2], name)
local revision, last, rest = '', 0, ' 0 0 0 -'
if state then revision, last, rest = string.match(state, '^(%d+) (%-?%d+)( .*)$') end
if revision ~= ARGV[2] then return {'conflict', revision} end
-- The keys are read before one is changed, so that a key of a wrong type ends the call.
local count = redis.call('HLEN', KEYS[1])
if not state and count >= tonumber(ARGV[6]) then return {'full', count} end
redis.call('ZCARD', KEYS[3])
-- PERSIST changes nothing. After it a full server refuses no write: an operator can change the
-- schedules that exist.
if state or ARGV[8] == '1' then redis.call('PERSIST', KEYS[1]) end
if ARGV[5] ~= '' and (not state or tonumber(ARGV[5]) > tonumber(last)) then last = ARGV[5] end
-- Revisions are never used twice, not even for a schedule that was removed and stored again: the
-- field "" counts them for all schedules. The revision goes last, so that a call that failed can be
-- repeated.
revision = (tonumber(redis.call('HGET', KEYS[2], '') or 0) or 0) + 1
redis.call('HSET', KEYS[1], name, ARGV[3])
if ARGV[4] == '' then
  redis.call('ZREM', KEYS[3], name)
else
  redis.call('ZADD', KEYS[3], ARGV[4], name)
end
local counted = string.format('%.0f', revision)
redis.call('HSET', KEYS[2], '', counted, name, counted .. ' ' .. last .. rest)
-- Hints may be lost.
local first = redis.pcall('ZRANGE', KEYS[3], 0, 0)
if first[1] == name then redis.pcall('PUBLISH', ARGV[7], 'tick') end
return {'ok', revision}
