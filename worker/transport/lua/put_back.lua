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
sort_newest_first(tags)
local moved = 0
for _, tag in ipairs(tags) do
    -- A message that cannot be put back stays held, and is tried again.
    if put_back(place == 'next' and 'RPUSH' or 'LPUSH', redis.call('HGET', held, tag)) then
        redis.call('HDEL', held, tag)
        moved = moved + 1
    end
end
return moved
