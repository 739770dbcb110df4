-- Put held messages back on their lists.
--
-- KEYS: held.
-- ARGV: 'named' to put back the tags that follow, 'others' to put back all but those;
--       'next' to have them taken next, 'last' to have them taken after what waits; tags...
-- Returns the number of messages that were put back.
local held, which, place = KEYS[1], ARGV[1], ARGV[2]
local tags = {}
if which == 'named' then
    for index = 3, #ARGV do
        tags[#tags + 1] = ARGV[index]
    end
else
    local kept = {}
    for index = 3, #ARGV do
        kept[ARGV[index]] = true
    end
    for _, tag in ipairs(redis.call('HKEYS', held)) do
        if not kept[tag] then
            tags[#tags + 1] = tag
        end
    end
end
table.sort(tags, function(one, other) return tonumber(one) > tonumber(other) end)
local moved = 0
for _, tag in ipairs(tags) do
    local entry = redis.call('HGET', held, tag)
    if entry then
        local first = string.find(entry, '\n', 1, true)
        local second = string.find(entry, '\n', first + 1, true)
        local push = place == 'next' and 'RPUSH' or 'LPUSH'
        redis.call(push, string.sub(entry, first + 1, second - 1), string.sub(entry, second + 1))
        redis.call('HDEL', held, tag)
        moved = moved + 1
    end
end
return moved
