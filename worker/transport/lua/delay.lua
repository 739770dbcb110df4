-- Move a held message to the delayed ones.
--
-- KEYS: held, delayed.
-- ARGV: tag, ms from now, a name that no other delayed message has.
-- Returns whether the message was still held.
local entry = redis.call('HGET', KEYS[1], ARGV[1])
if not entry then
    return 0
end
local due = milliseconds() + tonumber(ARGV[2])
local rest = string.sub(entry, string.find(entry, '\n', 1, true), -1)
redis.call('ZADD', KEYS[2], string.format('%.0f', due), ARGV[3] .. rest)
redis.call('HDEL', KEYS[1], ARGV[1])
return 1
