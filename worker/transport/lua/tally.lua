-- Count reserved messages by their lists or queues. Nothing of the messages leaves the server.
--
-- KEYS: where they are.
-- ARGV: 'held' for the hash of a consumer; 'unacked' for the hash of kombu's own transport; or
--       'delayed' for the sorted set, followed by the first and the last place to count, so that
--       a server with very many is not kept from its work.
-- Returns: messages that were looked at, then for each list its name, number and, of held messages,
--          when the oldest was taken, in milliseconds.
local kind = ARGV[1]
local is_hash = kind ~= 'delayed'
local entries = is_hash and redis.call('HKEYS', KEYS[1])
    or redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[3])
local counts, oldest = {}, {}
for _, entry in ipairs(entries) do
    entry = is_hash and redis.call('HGET', KEYS[1], entry) or entry
    local name, taken
    if kind == 'unacked' then
        -- The JSON of message, exchange and routing key.
        name = string.match(string.sub(entry, -300), '"([^"]*)"%]$')
    else
        -- A held message begins with a time, a delayed one with a name; then comes the list.
        taken, name = string.match(string.sub(entry, 1, 2000), '^([^\n]*)\n([^\n]*)\n')
    end
    if name then
        counts[name] = (counts[name] or 0) + 1
        oldest[name] = math.min(oldest[name] or math.huge, tonumber(taken) or math.huge)
    end
end
local found = {#entries}
for name, number in pairs(counts) do
    found[#found + 1] = name
    found[#found + 1] = number
    found[#found + 1] = oldest[name] < math.huge and string.format('%.0f', oldest[name]) or ''
end
return found
