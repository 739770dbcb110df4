-- Put a message that a worker with kombu's own transport has taken back on its list.
--
-- KEYS: unacked, its index, list.
-- ARGV: tag, message.
-- Returns whether it was still there.
if redis.call('HEXISTS', KEYS[1], ARGV[1]) == 0 then
    return 0
end
redis.call('RPUSH', KEYS[3], ARGV[2])
redis.call('HDEL', KEYS[1], ARGV[1])
redis.call('ZREM', KEYS[2], ARGV[1])
return 1
