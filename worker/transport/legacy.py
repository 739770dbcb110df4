"""Messages that workers with kombu's own transport have held, during a deployment of this one.

kombu records them in the hash ``unacked`` for all consumers together, and gives them out again when
the visibility timeout has passed. Nothing on the server says whether their worker lives.
"""

import logging
from collections.abc import Collection
from typing import Any, Final

import orjson
import redis

logger = logging.getLogger(__name__)

MOST: Final = 100
"""Messages that are looked at in one turn."""

# Whoever deletes the entry puts the message back, so that two workers do not.
_RESTORE: Final = """
if redis.call('HDEL', KEYS[1], ARGV[1]) == 1 then
    redis.call('RPUSH', KEYS[3], ARGV[2])
end
return redis.call('ZREM', KEYS[2], ARGV[1])
"""


def restore(client: redis.Redis, prefix: str, queues: Collection[str], before: float) -> int:
    """Put back what kombu's own transport has held since before a time.

    Parameters
    ----------
    client
        Without a key prefix of its own.
    prefix
        Of all keys.
    queues
        Where messages may go. One whose routing key is no queue among them goes to the first: who
        takes it from there goes by the name of its task.
    before
        In seconds since the epoch.

    Returns
    -------
    int
        How many messages were put back.
    """
    held, index = f"{prefix}unacked", f"{prefix}unacked_index"
    tags: Any = client.zrange(index, 0, before, byscore=True, offset=0, num=MOST)
    if not tags:
        return 0
    run = client.register_script(_RESTORE)
    for tag in tags:
        entry: Any = client.hget(held, tag)
        queue, raw = _parts(entry, queues)
        run(keys=[held, index, f"{prefix}{queue}"], args=[tag, raw])
    logger.warning("Put back %d messages that an older worker has held", len(tags))
    return len(tags)


def _parts(entry: bytes | None, queues: Collection[str]) -> tuple[str, bytes]:
    """Return the queue and the message of an entry; what kombu has not written stays as it is."""
    first = next(iter(queues))
    if entry is None:
        return first, b""
    try:
        payload, _, routing_key = orjson.loads(entry)
        raw = orjson.dumps(payload)
    except (ValueError, TypeError):
        return first, entry
    return (routing_key if routing_key in queues else first), raw
