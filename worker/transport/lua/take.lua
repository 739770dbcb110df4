-- Release finished messages and take new ones, in one step.
-- A message is recorded as held before it leaves its list, so an error in between loses nothing.
--
-- KEYS: consumers, held, deliveries, then the lists: all queues of the first priority, and so on.
-- ARGV: consumer, lease in ms, messages to take, first free tag, number of queues, released tags...
-- Returns for each message: tag, list, raw message, earlier deliveries.
local consumers, held, deliveries = KEYS[1], KEYS[2], KEYS[3]
local consumer, lease = ARGV[1], tonumber(ARGV[2])
local room, tag, queues = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])

if #ARGV > 5 then
    redis.call('HDEL', held, unpack(ARGV, 6))
end

local taken = {}
local now = nil
local counted = false

local function begin()
    local time = redis.call('TIME')
    now = time[1] * 1000 + math.floor(time[2] / 1000)
    -- Held messages without a lease would never be swept.
    if not redis.call('ZSCORE', consumers, consumer) then
        redis.call('ZADD', consumers, now + lease, consumer)
    end
    counted = redis.call('EXISTS', deliveries) == 1
end

local function take(list, most)
    -- pcall: a key of another type must not end the script after messages were taken.
    local found = redis.pcall('LRANGE', list, -most, -1)
    if found.err or #found == 0 then
        return
    end
    if not now then
        begin()
    end
    local entries = {}
    for place = #found, 1, -1 do  -- the oldest is the last
        local raw = found[place]
        local earlier = counted and redis.pcall('HGET', deliveries, redis.sha1hex(raw))
        entries[#entries + 1] = tag
        entries[#entries + 1] = string.format('%.0f', now) .. '\n' .. list .. '\n' .. raw
        taken[#taken + 1] = tag
        taken[#taken + 1] = list
        taken[#taken + 1] = raw
        taken[#taken + 1] = type(earlier) == 'string' and tonumber(earlier) or 0
        tag = tag + 1
    end
    redis.call('HSET', held, unpack(entries))
    redis.call('LTRIM', list, 0, -#found - 1)
    room = room - #found
end

-- Within a priority every queue has its share first, so that a busy one does not starve others.
for start = 4, #KEYS, queues do
    local stop = math.min(start + queues - 1, #KEYS)
    local share = math.ceil(room / queues)
    for index = start, stop do
        if room > 0 then
            take(KEYS[index], math.min(share, room))
        end
    end
    if share > 0 and queues > 1 then
        for index = start, stop do
            if room > 0 then
                take(KEYS[index], room)
            end
        end
    end
end
return taken
