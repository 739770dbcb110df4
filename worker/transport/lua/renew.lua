-- Renew the lease of a consumer, put delayed messages that are due on their queues, and put back
-- what consumers without a lease have held.
--
-- KEYS: consumers, deliveries, delayed.
-- ARGV: consumer, lease in ms, whether to sweep (0 or 1), messages to move at most, prefix of the
--       keys of held messages, seconds that deliveries are counted, ms between renewals that are
--       not late.
-- Returns: whether the lease was held before, ms until the next delayed message is due or -1,
--          the swept consumers, each followed by the number of its messages that were put back,
--          whether this renewal is on time.
local consumers, deliveries, delayed = KEYS[1], KEYS[2], KEYS[3]
local consumer, lease, sweeps = ARGV[1], tonumber(ARGV[2]), ARGV[3] == '1'
local most, prefix, counted_for = tonumber(ARGV[4]), ARGV[5], ARGV[6]
local late = tonumber(ARGV[7])
local again = 5000  -- ms until an entry that cannot be moved is tried again
local now = milliseconds()

-- One of these would stop all deliveries.
displace(consumers, 'zset')
displace(deliveries, 'hash')
displace(delayed, 'zset')
displace(prefix .. consumer, 'hash')

-- Where this renewal is late by the server's clock, that clock may have jumped: the leases of live
-- consumers have ended too.
local own = tonumber(redis.call('ZSCORE', consumers, consumer) or '')
local on_time = own and own - now >= lease - late
sweeps = sweeps and on_time
local known = redis.call('ZADD', consumers, string.format('%.0f', now + lease), consumer) == 0

for _, entry in ipairs(redis.call('ZRANGEBYSCORE', delayed, '-inf', now, 'LIMIT', 0, most)) do
    if put_back('LPUSH', entry) then
        redis.call('ZREM', delayed, entry)
    else
        redis.call('ZADD', delayed, string.format('%.0f', now + again), entry)
    end
end
local due = -1
local next_delayed = redis.call('ZRANGE', delayed, 0, 0, 'WITHSCORES')
if #next_delayed > 0 then
    due = math.max(0, math.ceil(tonumber(next_delayed[2]) - now))
end

local swept = {}
if sweeps then
    for _, dead in ipairs(redis.call('ZRANGEBYSCORE', consumers, '-inf', now, 'LIMIT', 0, 100)) do
        local held = prefix .. dead
        local tags = redis.pcall('HKEYS', held)
        tags = tags.err and {} or tags
        sort_newest_first(tags)
        local moved = 0
        for _, tag in ipairs(tags) do
            local raw = moved < most and put_back('RPUSH', redis.call('HGET', held, tag))
            if raw then
                redis.call('HDEL', held, tag)
                redis.pcall('HINCRBY', deliveries, redis.sha1hex(raw), 1)
                redis.pcall('EXPIRE', deliveries, counted_for)
                moved = moved + 1
            end
        end
        if moved == #tags then
            redis.call('ZREM', consumers, dead)
        end
        most = most - moved
        if moved > 0 then
            swept[#swept + 1] = dead
            swept[#swept + 1] = moved
        end
    end
end
return {known and 1 or 0, due, swept, on_time and 1 or 0}
