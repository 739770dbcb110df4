-- Put messages that a consumer holds back on their lists, where they are taken next.
--
-- KEYS: consumers, held.
-- ARGV: consumer, whether it may be alive (0 or 1), tags; none for all that it holds.
-- Returns the number of messages that were put back, or -1: the consumer is alive.
local consumers, held, consumer = KEYS[1], KEYS[2], ARGV[1]
local now = milliseconds()
local lease = redis.call('ZSCORE', consumers, consumer)
if lease and tonumber(lease) > now and ARGV[2] ~= '1' then
    return -1
end
local tags = {}
if #ARGV > 2 then
    for index = 3, #ARGV do
        tags[#tags + 1] = ARGV[index]
    end
else
    tags = redis.call('HKEYS', held)
end
sort_newest_first(tags)
local moved = 0
for _, tag in ipairs(tags) do
    if put_back('RPUSH', redis.call('HGET', held, tag)) then
        redis.call('HDEL', held, tag)
        moved = moved + 1
    end
end
return moved
